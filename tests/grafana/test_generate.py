"""`locum generate grafana` as a person calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from grafana.shipped import FILES
from locum_actuator.cli import main

ROOT = Path(__file__).parents[2]


def test_writes_the_dashboards_and_where_they_are(tmp_path: Path) -> None:
    where = tmp_path / "new" / "locum: here"
    done = CliRunner().invoke(
        main, ["generate", "grafana", "--prometheus-url", "https://prometheus.example.org", str(where)]
    )
    assert done.exit_code == 0, done.output
    written = sorted(path for path in where.rglob("*") if path.is_file())
    assert sorted(done.stdout.splitlines()) == [f"wrote {path}" for path in written]
    for name, path in FILES.items():
        assert (where / "dashboards" / f"{name}.json").read_bytes() == path.read_bytes()
    (provider,) = yaml.safe_load((where / "provisioning/dashboards/locum.yml").read_text())["providers"]
    assert provider["options"] == {"path": str(where / "dashboards")}
    (source,) = yaml.safe_load((where / "provisioning/datasources/locum.yml").read_text())["datasources"]
    assert source["url"] == "https://prometheus.example.org"


def test_says_what_is_shipped_where_nothing_else_was_asked_for(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["generate", "grafana", str(tmp_path)]).exit_code == 0
    shipped, written = (base / "provisioning/datasources/locum.yml" for base in (ROOT / "grafana", tmp_path))
    assert yaml.safe_load(written.read_text()) == yaml.safe_load(shipped.read_text())


def test_can_be_repeated(tmp_path: Path) -> None:
    first, second = (CliRunner().invoke(main, ["generate", "grafana", str(tmp_path)]) for _ in range(2))
    assert (second.exit_code, second.stdout) == (0, first.stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param([], 2, "Error: Missing argument 'DIRECTORY'.", id="no directory"),
        pytest.param(
            ["--prometheus-url", "localhost:9090", "/nonexistent"],
            2,
            "--prometheus-url: 'localhost:9090' is not a URL such as http://127.0.0.1:9090",
            id="not a URL",
        ),
        pytest.param(
            ["/proc/locum"], 1, "/proc/locum: cannot be written: No such file or directory", id="not writable"
        ),
    ],
)
def test_a_wrong_call_says_why(arguments: list[str], code: int, message: str) -> None:
    done = CliRunner().invoke(main, ["generate", "grafana", *arguments])
    assert (done.exit_code, done.stderr.strip().splitlines()[-1]) == (code, message)

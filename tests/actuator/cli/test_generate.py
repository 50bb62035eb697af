"""`locum generate` as a person calls it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from locum_actuator.cli import main

ROOT = Path(__file__).parents[3]
EXAMPLE = str(ROOT / "locum.example.yml")


@pytest.mark.parametrize(
    ("what", "file"),
    [("prometheus", "prometheus.yml"), ("alertmanager", "alertmanager.yml"), ("rules", "locum.rules.yml")],
)
def test_prints_what_is_shipped(what: str, file: str) -> None:
    result = CliRunner().invoke(main, ["--site", EXAMPLE, "generate", what])
    assert (result.exit_code, result.stdout) == (0, (ROOT / "alert_rules" / file).read_text())


def test_rules_need_no_site_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["generate", "rules"]).exit_code == 0


def test_says_where_things_listen() -> None:
    options = ["--alertmanager-listen", "127.0.0.1:1", "--alertmanager-listen", "192.0.2.9:2"]
    result = CliRunner().invoke(main, ["--site", EXAMPLE, "generate", "prometheus", *options])
    assert '- targets: ["127.0.0.1:1", "192.0.2.9:2"]' in result.stdout


CHAIN = """
chain:
  prometheus: https://prom.example.org/p
  alertmanagers: ["http://192.0.2.7:9093", "https://am.example.org/am", "http://192.0.2.8:9093"]
"""


def test_what_the_site_file_says_of_the_chain_is_used(tmp_path: Path) -> None:
    site = tmp_path / "locum.yml"
    site.write_text(Path(EXAMPLE).read_text() + CHAIN)
    result = CliRunner().invoke(main, ["--site", str(site), "generate", "prometheus"])
    (tmp_path / "prometheus.yml").write_text(result.stdout)
    check = ["promtool", "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
    subprocess.run(check, check=True, capture_output=True, timeout=30)
    made = yaml.safe_load(result.stdout)
    assert made["alerting"]["alertmanagers"] == [
        {"static_configs": [{"targets": ["192.0.2.7:9093", "192.0.2.8:9093"]}]},
        {"scheme": "https", "path_prefix": "/am", "static_configs": [{"targets": ["am.example.org"]}]},
    ]
    *_, prometheus, alertmanagers = made["scrape_configs"]
    elsewhere = {"__scheme__": "https", "__metrics_path__": "/p/metrics"}
    assert prometheus["static_configs"] == [{"targets": ["prom.example.org"], "labels": elsewhere}]
    assert [one["targets"] for one in alertmanagers["static_configs"]] == [
        ["192.0.2.7:9093", "192.0.2.8:9093"],
        ["am.example.org"],
    ]
    option = ["--alertmanager-listen", "127.0.0.1:1"]
    result = CliRunner().invoke(main, ["--site", str(site), "generate", "prometheus", *option])
    assert "am.example.org" not in result.stdout, "an option comes first"
    assert "prom.example.org" in result.stdout


WRONG = {
    "no such site file": (
        ["--site", "/nonexistent.yml", "generate", "prometheus"],
        "/nonexistent.yml: cannot be read: No such file or directory",
    ),
    "no such thing": (["generate", "nagios"], "Error: No such command 'nagios'."),
    "not an address": (
        ["--site", EXAMPLE, "generate", "prometheus", "--prometheus-listen", "here"],
        "Error: Invalid value for '--prometheus-listen': 'here' is not HOST:PORT, as in 127.0.0.1:9090",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_exit_code_2(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stderr.strip().splitlines()[-1]) == (2, message)


def with_mail(directory: Path, url: str | None) -> str:
    """Write a site file with mail and with a dead man's switch outside; return its path."""
    secret, site = directory / "deadman.url", directory / "locum.yml"
    if url is not None:
        secret.write_text(url)
    mail = "mail: {to: [ops@example.org], sender: locum@example.org}\n"
    example = Path(EXAMPLE).read_text()
    key = "  host: b"
    assert example.count(f"actuator:\n{key}") == 1
    example = example.replace(f"actuator:\n{key}", f"actuator:\n{key}\n  state_directory: {directory}", 1)
    site.write_text(f"{example}{mail}deadman: {{url_file: {secret}}}\n")
    return str(site)


def test_writes_alertmanagers_configuration_with_what_belongs_beside_it(tmp_path: Path) -> None:
    site, made = with_mail(tmp_path, "https://hc.example.org/ping/1"), tmp_path / "made"
    result = CliRunner().invoke(main, ["--site", site, "generate", "alertmanager", str(made)])
    assert result.exit_code == 0, result.output
    files = ("templates/locum.tmpl", "RUNBOOK.md", "actuator.crt", "alertmanager.yml")
    assert result.stdout == "".join(f"wrote {made}/{name}\n" for name in files)
    subprocess.run(["amtool", "check-config", made / files[-1]], check=True, capture_output=True, timeout=30)
    assert f"b:{made}/RUNBOOK.md" in (made / files[-1]).read_text()
    shipped = ROOT / "alert_rules"
    assert [(made / name).read_text() for name in files[:2]] == [
        (shipped / name).read_text() for name in files[:2]
    ]


def test_what_is_printed_of_a_site_with_mail_is_not_all(tmp_path: Path) -> None:
    site = with_mail(tmp_path, "https://hc.example.org/ping/a-secret")
    result = CliRunner().invoke(main, ["--site", site, "generate", "alertmanager"])
    assert result.exit_code == 0
    about_mail, about_the_certificate = result.stderr.splitlines()
    assert about_mail == "mail also needs the templates: `locum generate alertmanager DIRECTORY` writes them"
    (named,) = {line.strip() for line in result.stdout.splitlines() if "ca_file:" in line}
    file = named.removeprefix('ca_file: "').removesuffix('"')
    assert about_the_certificate == (
        f"only the actuator's user can read {file}: if Alertmanager runs as another user, "
        "`locum generate alertmanager DIRECTORY` writes a copy for it"
    )
    assert "a-secret" not in result.stdout


FAULTS = {
    "missing": (None, "No such file or directory"),
    "no URL": ("hc.example.org", "does not contain exactly one URL, such as https://hc.example.org/ping/..."),
}


@pytest.mark.parametrize(("url", "words"), FAULTS.values(), ids=FAULTS)
def test_the_url_of_somebody_outside_must_be_there(url: str | None, words: str, tmp_path: Path) -> None:
    site = with_mail(tmp_path, url)
    result = CliRunner().invoke(main, ["--site", site, "generate", "alertmanager", str(tmp_path / "made")])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f"{tmp_path}/deadman.url: {words}\n")
    assert not (tmp_path / "made").exists()

"""`locum up` where it must say no. What it does when all is well is in tests/e2e and test_up_live.py."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from locum_actuator.cli import main
from tests.support.ports import unused_port
from tests.support.site_files import COMMANDS, write_site

pytestmark = pytest.mark.integration


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    return write_site(
        tmp_path,
        hosts={"b": {"address": "127.0.0.1"}},
        www={"interface": "eth0", "commands": COMMANDS, "takeover": {"mode": "observe"}},
        actuator={"state_directory": str(state), "webhook_token_file": f"{state}/token"},
    )


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _up(site_file: Path, **listens: str) -> tuple[int, str]:
    """Run `locum up`; what is not given listens on an unused port, so that tests may run in parallel."""
    everywhere = {name: listens.get(name) or f"127.0.0.1:{unused_port()}" for name in (*PARTS, "webhook")}
    arguments = [word for name, listen in everywhere.items() for word in (f"--{name}-listen", listen)]
    result = CliRunner().invoke(main, ["--site", str(site_file), "up", *arguments])
    return result.exit_code, result.stderr


PARTS = ("exporter", "actuator", "alertmanager", "prometheus")
WHO = {
    "exporter": "the exporter cannot listen on it; another `locum up` may be running",
    "actuator": "the actuator cannot listen on it; another `locum up` may be running",
    "alertmanager": "Alertmanager cannot listen on it; Debian's package may have started its own:"
    " systemctl disable --now prometheus-alertmanager",
    "prometheus": "Prometheus cannot listen on it; Debian's package may have started its own:"
    " systemctl disable --now prometheus",
}


@pytest.mark.parametrize("part", PARTS)
def test_a_port_that_is_taken_is_named(part: str, site_file: Path, taken: str) -> None:
    assert _up(site_file, **{part: taken}) == (
        1,
        f"{taken} is already in use: {WHO[part]}, or choose another with --{part}-listen\n",
    )


def test_all_taken_ports_are_named_at_once(site_file: Path, taken: str) -> None:
    code, text = _up(site_file, alertmanager=taken, prometheus=taken)
    assert (code, len(text.splitlines())) == (1, 2)


def test_a_chain_in_the_site_file_is_not_passed_over_in_silence(site_file: Path, taken: str) -> None:
    with site_file.open("a") as file:
        file.write("chain: {prometheus: http://192.0.2.9:9090}\n")
    _, text = _up(site_file, prometheus=taken)
    assert text.splitlines()[0] == (
        "the site file's `chain` is not used: locum up runs its own Prometheus and Alertmanager"
    )


def test_another_machines_address_is_named(site_file: Path) -> None:
    assert _up(site_file, exporter="192.0.2.77:10751") == (
        1,
        "192.0.2.77:10751 is not an address of this machine: the exporter cannot listen on it; run `locum up` on"
        " the host that the site file names as actuator.host, or choose another with --exporter-listen\n",
    )


def test_missing_programs_are_named_with_their_packages(
    site_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _up(site_file) == (
        1,
        "not in the PATH: prometheus and prometheus-alertmanager;"
        " on Debian: apt-get install prometheus prometheus-alertmanager\n",
    )


def test_a_faulty_site_file_is_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "locum.yml"
    file.write_text("hosts: {}\n")
    code, text = _up(file)
    assert code == 2
    assert text.startswith(f"{file}:1: hosts: ")


def test_a_part_that_will_not_start_ends_it_all(site_file: Path) -> None:
    """There is no token file: the actuator ends each time, and says why."""
    code, text = _up(site_file)
    state = site_file.parent / "state"
    assert code == 1
    assert text.startswith("actuator does not start: it ended with exit code 2: ")
    assert text.endswith(f"({state}/log/actuator.log)\n")
    assert f"{state}/token" in text
    assert {path.stat().st_mode & 0o777 for path in (state / "chain").rglob("*") if path.is_file()} == {0o600}

"""Under systemd: what is reported to the service manager and when it is not, and unit files that systemd takes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner

from locum_actuator.cli import main
from locum_actuator.system.watchdog import Watchdog
from locum_inventory.sd_notify import tell, tell_alive_every_seconds
from tests.support.forked_programs import ForkedPrograms
from tests.support.http_server import HealthyHandler, http_server
from tests.support.marks import needs_root
from tests.support.ports import closed_port
from tests.support.site_files import write_secret, write_site

pytestmark = pytest.mark.integration

EXAMPLE = Path(__file__).parents[3] / "locum.example.yml"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A service manager's end of the line; this process is to say that it is alive every 0.1 s."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield line


@pytest.fixture
def port() -> Iterator[int]:
    """The port of an HTTP server that is healthy."""
    with http_server(HealthyHandler) as at:
        yield at.port


def to(port: int) -> Callable[[], HTTPConnection]:
    """How to reach a server on a port."""
    return lambda: HTTPConnection("127.0.0.1", port, timeout=3)


@contextmanager
def _running(watchdog: Watchdog) -> Iterator[Watchdog]:
    watchdog.start()
    yield watchdog
    watchdog.end()
    watchdog.join(5)
    assert not watchdog.is_alive()


def test_it_is_told_while_all_is_alive(manager: socket.socket, port: int) -> None:
    begun = time.monotonic()
    with _running(Watchdog(lambda: None, to(port))):
        assert [manager.recv(100) for _ in range(4)] == [b"WATCHDOG=1"] * 4
    assert time.monotonic() - begun >= 0.25, "a third of the time apart"


def test_it_is_not_told_while_a_worker_stands_still(
    manager: socket.socket, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = "the worker for www has not moved for 700 s"
    with _running(Watchdog(lambda: stuck, to(port))) as watchdog:
        manager.settimeout(0.4)
        with pytest.raises(TimeoutError):
            manager.recv(100)
        assert (
            "systemd's watchdog is not notified: the worker for www has not moved for 700 s"
            in caplog.messages
        )
        watchdog.ending()
        assert manager.recv(100) == b"WATCHDOG=1", "a plan under way is finished before the end"


def test_it_is_not_told_while_http_does_not_answer() -> None:
    with closed_port() as port:
        why = Watchdog(lambda: None, to(port)).look()
    assert why == "our own HTTP server does not answer ([Errno 111] Connection refused)"


def test_without_a_service_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    tell("READY=1")
    watchdog = Watchdog(lambda: None, to(1))
    watchdog.start()
    watchdog.join(1)
    assert not watchdog.is_alive()


WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "for us": ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
    "for every process": ({"WATCHDOG_USEC": "30000000"}, 10.0),
    "for our parent": ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    "for no process": ({}, None),
    "no number": ({"WATCHDOG_USEC": "soon"}, None),
}


@pytest.mark.parametrize(("environment", "seconds"), WAITS.values(), ids=WAITS)
def test_who_waits_to_be_told(
    environment: dict[str, str], seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert tell_alive_every_seconds() == seconds


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    token, nowhere = tmp_path / "token", "http://127.0.0.1:1"
    write_secret(token)
    return write_site(
        tmp_path,
        hosts={"b": {"address": "127.0.0.1"}},
        www={"addresses": ["192.0.2.100/32"], "standby": "running", "takeover": {"mode": "observe"}},
        vantage_points={"b": {"url": nowhere}},
        chain={"prometheus": nowhere, "alertmanagers": [nowhere]},
        actuator={
            "state_directory": f"{tmp_path}/state",
            "webhook_token_file": str(token),
            "api_token_file": str(token),
        },
    )


@needs_root
@pytest.mark.parametrize("module", ["locum_actuator.server", "locum_exporter.server"])
def test_the_real_programs_say_that_they_are_ready_alive_and_stopping(
    programs: ForkedPrograms, module: str, manager: socket.socket, site_file: Path
) -> None:
    words, log = ["--site", str(site_file), "--listen", "127.0.0.1:10750"], site_file.with_suffix(".log")
    # In a network of its own: it looks for hosts that are not ours to ask.
    with programs.started(f"{module}:main", words, log, "ip link set lo up", own_network=True) as program:
        manager.settimeout(60)
        heard = {manager.recv(100) for _ in range(4)}
        assert {b"READY=1", b"WATCHDOG=1"} == heard
        program.terminate()
        while manager.recv(100) != b"STOPPING=1":
            pass
        assert program.wait() == 0, log.read_text()


@pytest.mark.parametrize("only", ["exporter", "actuator", "up"])
def test_systemd_takes_the_unit_files(only: str, tmp_path: Path) -> None:
    printed = CliRunner().invoke(main, ["--site", str(EXAMPLE), "generate", "systemd", "--only", only])
    assert printed.exit_code == 0
    unit = tmp_path / f"locum-{only}.service"
    unit.write_text(printed.stdout)
    lines = dict(re.findall(r"^(\w+)=(.*)$", printed.stdout, re.MULTILINE))
    assert lines["Type"] == ("exec" if only == "up" else "notify")
    assert lines["User"] == "locum"
    assert "CAP_NET_RAW" in lines["AmbientCapabilities"]
    assert Path(lines["ExecStart"].split()[0]).exists()
    assert not {"NoNewPrivileges", "SystemCallFilter"} & lines.keys(), "sudo"
    if only == "exporter":
        assert "CAP_NET_ADMIN" not in lines["CapabilityBoundingSet"]
        assert "-/etc/locum/api.token" in lines["InaccessiblePaths"].split()
    else:
        assert "CapabilityBoundingSet" not in lines, "a gate that starts services needs what they need"
    if only != "exporter":
        assert lines["KillMode"] == "process", "what it started for a service must live on"
        assert not {"ProtectSystem", "PrivateTmp"} & lines.keys(), "what it started would inherit it"
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_both_unit_files_are_printed_with_their_places() -> None:
    printed = CliRunner().invoke(main, ["--site", str(EXAMPLE), "generate", "systemd"]).stdout
    assert re.findall(r"^# (/etc/systemd/system/\S+),", printed, re.MULTILINE) == [
        "/etc/systemd/system/locum-exporter.service",
        "/etc/systemd/system/locum-actuator.socket",
        "/etc/systemd/system/locum-actuator.service",
    ]

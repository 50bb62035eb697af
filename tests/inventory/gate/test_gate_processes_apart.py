"""Processes of one name that belong to different services: what the real gate counts, and what it kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from locum_inventory.gate.host_file import host_file
from locum_inventory.gate.local import LocalGate
from locum_inventory.site.model import ProcessCheck
from tests.inventory.gate.gate_host import GateHost, install_gate
from tests.inventory.site.test_load import SOUND, faults, read
from tests.support.marks import needs_root

pytestmark = [needs_root, pytest.mark.integration]

NAME = f"lq{os.getpid()}"
NOBODY = 65534
PR_SET_NAME = 15  # prctl(2)
PROGRAM = f"""
import ctypes, os, sys, time
ctypes.CDLL(None).prctl({PR_SET_NAME}, sys.argv[1].encode())
os.setuid(int(sys.argv[2]))
print("ready", flush=True)
time.sleep(600)
"""
HOST_FILE = """
service by_unit
process {name}
process_unit lq-www.service
stop true
stop_timeout_ms 200
service other_unit
process {name}
process_unit lq-dns.service
stop true
stop_timeout_ms 200
service by_user
process {name}
process_user nobody
stop true
stop_timeout_ms 200
service by_unit_and_user
process {name}
process_unit lq-www.service
process_user nobody
service of_no_user
process {name}
process_user no-such-user-lq
service by_name
process {name}
stop true
stop_timeout_ms 200
"""


@pytest.fixture(params=["dash", "busybox sh"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> GateHost:
    return install_gate(tmp_path, HOST_FILE.format(name=NAME), tuple(request.param.split()))


@pytest.fixture
def gate(host: GateHost) -> Iterator[LocalGate]:
    shell = LocalGate("a", "actuator", gate_path=host.gate)
    shell._command = host.command("actuator")
    yield shell
    shell.close()


Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a process of that name, as a user, in a control group and perhaps in a PID namespace of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*, user: int = 0, group: Path | None = None, container: bool = False) -> subprocess.Popen[bytes]:
        around = ["unshare", "--pid", "--fork", "--kill-child"] if container else []
        enter = f"echo $$ >{group}/cgroup.procs; " if group is not None else ""
        words = [*around, sys.executable, "-c", PROGRAM, NAME, str(user)]
        process = subprocess.Popen(["sh", "-c", enter + 'exec "$@"', "sh", *words], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield run
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def groups() -> Iterator[Callable[[str], Path]]:
    """Control groups as systemd makes them, under the root of the unified hierarchy."""
    roots = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]
    root = next((path for path in roots if (path / "cgroup.controllers").exists()), None)
    if root is None or not os.access(root / "cgroup.procs", os.W_OK):
        pytest.skip("no control groups (version 2) that can be written")
    made: list[Path] = []

    def group(path: str) -> Path:
        at = root
        for part in path.split("/"):
            at /= part
            if not at.exists():
                at.mkdir()
                made.append(at)
        return at

    yield group
    for path in reversed(made):
        while members := (path / "cgroup.procs").read_text().split():
            for member in members:
                os.kill(int(member), signal.SIGKILL)
            time.sleep(0.01)
        path.rmdir()


def counts(gate: LocalGate) -> dict[str, int | None]:
    """Count over the kept watch, and make sure that a status counts the same."""
    watched = dict(gate.count_processes(deadline_seconds=20.0))
    status = gate.status(deadline_seconds=20.0).services
    assert {name: service.processes for name, service in status.items()} == watched
    return dict(watched)


def expected(**counted: int) -> dict[str, int]:
    names = ("by_unit", "other_unit", "by_user", "by_unit_and_user", "of_no_user", "by_name")
    return {**dict.fromkeys(names, 0), **counted}


def test_a12_a_process_in_a_container_is_no_process_of_the_host(gate: LocalGate, run: Run) -> None:
    inside = run(container=True)
    assert counts(gate) == expected()
    here = run()
    assert counts(gate) == expected(by_name=1)
    assert gate.run_verb("release", "by_name", 1, deadline_seconds=20.0).processes == 0
    assert here.wait(10) == -9
    assert inside.poll() is None


def test_a12_the_processes_of_a_user(gate: LocalGate, run: Run) -> None:
    theirs, others = run(user=NOBODY), run()
    assert counts(gate) == expected(by_user=1, by_name=2)
    assert gate.run_verb("release", "by_user", 1, deadline_seconds=20.0).processes == 0
    assert theirs.wait(10) == -9
    assert others.poll() is None
    assert counts(gate) == expected(by_name=1)


def test_a12_the_processes_of_a_unit(gate: LocalGate, run: Run, groups: Callable[[str], Path]) -> None:
    top = f"lq{os.getpid()}.slice"
    www = run(group=groups(f"{top}/lq-www.service"))
    dns = run(group=groups(f"{top}/lq-dns.service"), user=NOBODY)
    assert counts(gate) == expected(by_unit=1, other_unit=1, by_user=1, by_name=2)
    below = run(group=groups(f"{top}/lq-www.service/payload"), user=NOBODY, container=True)
    nested = run(group=groups(f"{top}/docker-1.scope/lq-www.service"))
    alike = run(group=groups(f"{top}/my-lq-www.service"))
    assert counts(gate) == expected(by_unit=2, other_unit=1, by_user=1, by_unit_and_user=1, by_name=4)
    assert gate.run_verb("release", "by_unit", 1, deadline_seconds=20.0).processes == 0
    assert www.wait(10) == -9
    below.wait(10)
    assert [process.poll() for process in (dns, nested, alike)] == [None] * 3
    assert counts(gate) == expected(other_unit=1, by_user=1, by_name=3)


def test_a12_the_host_file_says_what_the_site_file_says(tmp_path: Path) -> None:
    site = read(
        tmp_path, SOUND.replace("{name: apache2}", "{name: apache2, unit: apache2.service, user: 33}")
    )
    lines = host_file(site, "a").splitlines()
    assert lines[lines.index("process apache2") + 1 :][:2] == [
        "process_user 33",
        "process_unit apache2.service",
    ]


APART = [
    ({}, {}, False),
    ({"unit": "a.service"}, {}, False),
    ({"unit": "a.service"}, {"user": "www"}, False),
    ({"unit": "a.service"}, {"unit": "a.service"}, False),
    ({"unit": "a.service"}, {"unit": "b.service"}, True),
    ({"user": "a"}, {"user": "b"}, True),
    ({"user": "a", "unit": "a.service"}, {"user": "a", "unit": "b.service"}, True),
    ({"user": "a", "unit": "a.service"}, {"user": "b", "unit": "a.service"}, True),
]


@pytest.mark.parametrize(("one", "other", "apart"), APART)
def test_a12_two_that_can_be_told_apart(one: dict[str, str], other: dict[str, str], *, apart: bool) -> None:
    first = ProcessCheck.model_validate({"name": "x", **one})
    second = ProcessCheck.model_validate({"name": "x", **other})
    assert first.is_apart_from(second) is second.is_apart_from(first) is apart
    assert first.is_apart_from(second.model_copy(update={"name": "y"}))


def test_a12_two_services_of_one_daemon_that_runs_everywhere(tmp_path: Path) -> None:
    """Virtual hosts of one web server, each with an address of its own: neither stops it."""
    text = SOUND.replace("    commands:", "    standby: running\n    commands:", 1)
    start = text.index("  www:\n")
    section = text[start : text.index("\nwitnesses")].split("\nvantage_points")[0]
    shop = section.replace("  www:", "  shop:", 1).replace("192.0.2.100", "192.0.2.101")
    assert set(read(tmp_path, text.replace(section, f"{section}\n{shop}", 1)).services) == {"www", "shop"}
    different = shop.replace("apachectl restart", "apachectl graceful")
    assert "services.shop.checks.process: is 'apache2'" in "\n".join(
        faults(tmp_path, text.replace(section, f"{section}\n{different}", 1))
    )

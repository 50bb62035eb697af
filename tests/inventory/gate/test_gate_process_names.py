"""Process names of every kind that the kernel shows, from the site file through the real gate to a SIGKILL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from locum_inventory.gate.host_file import host_file
from locum_inventory.gate.local import LocalGate
from locum_inventory.site.model import ProcessCheck
from tests.inventory.gate.gate_host import GateHost, install_gate
from tests.inventory.site.test_load import SOUND, faults, read
from tests.support.marks import needs_root

pytestmark = pytest.mark.integration

# Unlikely enough that nothing else on this machine has one of them.
NAMES = [
    "gunicorn: maste",
    "PM2 v5.3.0: God",
    "nginx: master p",
    "sshd: /usr/sbin",
    "(lq7z) lq7z",
    "kworker/0:0-loc",
    "a) S 1 (b lq7z",
    "* lq7z ?",
    "[lq7z]",
    "#lq7z",
    "$lq7z `id`",
    "lo'c\"um",
    "lq7z\\n",
    "lq7z\\",
    " lq7z in front",
    "lq7z behind ",
    "lq7z  two",
    "Grüße, lq7z",
    "lq7z;|&<>",
    "-n lq7z",
]

RENAMED = """
import sys, time
with open("/proc/self/comm", "wb") as comm:
    comm.write(bytes.fromhex(sys.argv[1]))
print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def process_called(name: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", RENAMED, name.encode().hex()], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["dash", "busybox sh"])
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param.split())


def gate_for(name: str, directory: Path, shell: tuple[str, ...]) -> GateHost:
    """A gate whose host file is made from a site: one service with this name, one with its first word."""
    site = read(directory, SOUND)
    www = site.services["www"]
    commands = www.commands
    assert commands is not None
    checks = www.checks.model_copy(update={"process": ProcessCheck(name=name)})
    other = www.checks.model_copy(
        update={"process": ProcessCheck(name=name.split(" ", maxsplit=1)[0] or "x")}
    )
    quiet = commands.model_copy(update={"stop": "true", "stop_timeout": 0.3})
    services = {
        "dns": www.model_copy(update={"checks": other, "commands": quiet, "addresses": ()}),
        "www": www.model_copy(update={"checks": checks, "commands": quiet, "addresses": ()}),
    }
    text = host_file(site.model_copy(update={"services": services}), "a")
    return install_gate(directory / "gate", text.split("\n", 3)[3], shell)


@needs_root
@pytest.mark.parametrize("name", NAMES)
def test_c5_a_process_of_any_name_is_counted_and_killed(
    name: str, tmp_path: Path, shell: tuple[str, ...]
) -> None:
    host = gate_for(name, tmp_path, shell)
    gate = LocalGate("a", "actuator", gate_path=host.gate)
    other = 1 if name.split(" ", maxsplit=1)[0] == name else 0
    try:
        assert gate.count_processes(deadline_seconds=20.0) == {"dns": 0, "www": 0}
        with process_called(name) as process:
            assert gate.count_processes(deadline_seconds=20.0) == {"dns": other, "www": 1}
            status = gate.status(deadline_seconds=20.0).services
            assert {service: values.processes for service, values in status.items()} == {
                "dns": other,
                "www": 1,
            }
            after = gate.run_verb("release", "www", 1, deadline_seconds=20.0)
            assert after.processes == 0
            assert process.wait(10) == -9
    finally:
        gate.close()


_NO_NAME = "give the process name as `ps -o comm` shows it, without path or arguments"
REFUSED = {
    "a path": ("/bin/sh", f"is '/bin/sh': {_NO_NAME}"),
    "nothing but blanks": ("'  '", f"is '  ': {_NO_NAME}"),
    "16 bytes of 14 characters": (
        "grüße-lq7z-123",
        "is 'grüße-lq7z-123', which never matches: the kernel cuts process names at 15 bytes,"
        " so write 'grüße-lq7z-12'",
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_c5_what_can_be_no_name_is_refused(row: str, tmp_path: Path) -> None:
    written, text = REFUSED[row]
    assert faults(tmp_path, SOUND.replace("name: apache2", f"name: {written}")) == [
        f"locum.yml:9: services.www.checks.process.name: {text}"
    ]

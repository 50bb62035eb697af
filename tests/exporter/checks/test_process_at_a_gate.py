"""The process check against a real gate and real processes: directly, and through a real sshd."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from locum_exporter.checks.process import process
from locum_exporter.result import CheckResult
from locum_inventory.gate.local import LocalGate
from locum_inventory.gate.protocol import GateClient
from locum_inventory.gate.ssh import SshGate
from tests.inventory.gate.gate_host import (
    ADDRESS,
    GateHost,
    copy_of_sleep,
    fresh_sshd,
    install_gate,
)
from tests.support.marks import needs_root
from tests.support.processes import wait_for_name

pytestmark = needs_root

NAME = f"x{os.getpid()}-daemon"[:15]
MakeGate = Callable[[GateHost, Path], Iterator[GateClient]]


def at_a_local_gate(host: GateHost, _directory: Path) -> Iterator[GateClient]:
    gate = LocalGate("a", "exporter", gate_path=host.gate)
    yield gate
    gate.close()


def at_a_gate_over_ssh(host: GateHost, directory: Path) -> Iterator[GateClient]:
    with fresh_sshd(directory, host) as sshd:
        gate = SshGate("a", ADDRESS, sshd.ssh("exporter"), "exporter")
        yield gate
        gate.close()


@pytest.fixture(params=[at_a_local_gate, at_a_gate_over_ssh], ids=["local", "ssh"])
def gate(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GateClient]:
    make: MakeGate = request.param
    yield from make(install_gate(tmp_path / "gate", f"service www\nprocess {NAME}\n"), tmp_path)


async def test_absent_present_and_absent_again(gate: GateClient, tmp_path: Path) -> None:
    said: list[CheckResult] = [await process(gate, "www", 5.0)]
    program = copy_of_sleep(tmp_path, NAME)
    daemon = subprocess.Popen([program, "60"])  # noqa: ASYNC220 - it is started, not waited for
    try:
        wait_for_name(daemon.pid, NAME)
        said.append(await process(gate, "www", 5.0))
    finally:
        daemon.kill()
    # Killed and not yet waited for: a zombie keeps its name, and is no presence.
    os.waitid(os.P_PID, daemon.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it was killed
    said.append(await process(gate, "www", 5.0))
    daemon.wait()
    assert [(one.reason, one.details.get("count")) for one in said] == [
        ("absent", 0),
        (None, 1),
        ("absent", 0),
    ]


async def test_a_service_the_gate_does_not_know(gate: GateClient) -> None:
    result = await process(gate, "ftp", 5.0)
    assert (result.reason, result.details) == ("shell", {})


async def test_no_gate_at_all(tmp_path: Path) -> None:
    gate = LocalGate("a", "exporter", gate_path=tmp_path / "nothing")
    result = await process(gate, "www", 5.0)
    gate.close()
    assert (result.reason, result.details) == ("shell", {})

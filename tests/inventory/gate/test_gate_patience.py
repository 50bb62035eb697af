"""The gate's timeouts for start and respawn, and what it says of a service that is starting."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum_inventory.gate.host_file import host_file
from locum_inventory.gate.local import LocalGate
from locum_inventory.gate.protocol import ServiceStatus
from tests.inventory.gate.gate_host import GateHost, copy_of_sleep, install_gate
from tests.inventory.site.test_load import SOUND, read
from tests.support.marks import needs_root
from tests.support.polling import wait_for
from tests.support.processes import wait_for_name

pytestmark = [needs_root, pytest.mark.integration]

NAME = f"lp{os.getpid()}"  # of the service's process: no other test process uses it


@pytest.fixture(params=["dash", "busybox sh"])
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param.split())


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    subprocess.run(["pkill", "-KILL", "-x", NAME], check=False)


def gate_with(directory: Path, shell: tuple[str, ...], **timeouts_ms: int) -> GateHost:
    """A gate of a service whose start command ends when the file `go` is there, and then its process is."""
    program = copy_of_sleep(directory, NAME)
    start = f"until [ -e {directory}/go ]; do sleep 0.05; done; {program} 100 & :"
    lines = [
        "service www", f"process {NAME}", f"start {start}", f"respawn {start}", "stop true", "stop_timeout_ms 300",
        *(f"{key}_ms {value}" for key, value in timeouts_ms.items()),
    ]  # fmt: skip
    return install_gate(directory / "gate", "\n".join(lines) + "\n", shell)


def limit_appearance(host: GateHost) -> None:
    """Let the gate wait for a fifth of a second for a process whose start has ended, in place of five seconds."""
    gate = host.gate.read_text()
    assert gate.count("APPEAR_LIMIT=500 ") == 1
    host.gate.write_text(gate.replace("APPEAR_LIMIT=500 ", "APPEAR_LIMIT=20 "))


def test_b2_a_start_may_take_its_own_time(tmp_path: Path, shell: tuple[str, ...]) -> None:
    host = gate_with(tmp_path, shell, start_timeout=200)
    answer = host.run("start", "www", "1")
    assert answer[-1] == "end failed www: start did not end within 0 s"
    (tmp_path / "go").touch()
    host = gate_with(tmp_path, shell, start_timeout=60_000)  # a busy machine needs more than the 200 ms
    assert host.run("start", "www", "1")[-1] == "end ok"


def test_b2_a_respawn_may_take_its_own_time(tmp_path: Path, shell: tuple[str, ...]) -> None:
    host = gate_with(tmp_path, shell, respawn_timeout=1_000)
    answer = host.run("respawn", "www", "1")
    assert answer[-1] == "end failed www: respawn did not end within 1 s"


def test_a_respawn_that_leaves_no_process_does_not_wait_out_its_timeout(tmp_path: Path) -> None:
    """On a full disk its command ends with 0 and the daemon ends at once; a standby could serve meanwhile."""
    lines = f"service www\nprocess {NAME}\nstart true\nrespawn true\nstop true\nrespawn_timeout_ms 30000\n"
    host, begun = install_gate(tmp_path / "gate", lines), time.monotonic()
    limit_appearance(host)
    answer = host.run("respawn", "www", "1", timeout=60.0)
    assert answer[-1].startswith(f"end failed www: respawn returned 0 and no process {NAME} is there")
    assert time.monotonic() - begun < 25.0


def test_b2_a_process_may_appear_as_late_as_start_timeout_says(tmp_path: Path) -> None:
    """Its start command has long returned: systemctl --no-block, or a daemon that prepares itself."""
    program = copy_of_sleep(tmp_path, NAME)
    start = f"{{ sleep 0.6; exec {program} 100; }} &"
    lines = f"service www\nprocess {NAME}\nstart {start}\nstop true\nstop_timeout_ms 300\n"
    host = install_gate(tmp_path / "gate", f"{lines}start_timeout_ms 60000\n")
    limit_appearance(host)
    assert host.run("start", "www", "1", timeout=60.0)[-1] == "end ok"


def test_b2_the_gate_says_that_a_start_is_under_way_and_how_young_a_process_is(
    tmp_path: Path, shell: tuple[str, ...]
) -> None:
    host = gate_with(tmp_path, shell, start_timeout=60_000)
    gate = LocalGate("a", "actuator", gate_path=host.gate)
    try:
        before = gate.status(deadline_seconds=20.0).services["www"]
        assert (before.processes, before.age_seconds, before.underway) == (0, None, None)
        start = threading.Thread(target=host.run, args=("start", "www", "1"), kwargs={"timeout": 60.0})
        start.start()

        def underway() -> str | None:
            return gate.status(deadline_seconds=20.0).services["www"].underway

        wait_for(lambda: underway() == "start", "the start is under way")
        (tmp_path / "go").touch()
        start.join()
        after = gate.status(deadline_seconds=20.0).services["www"]
        assert (after.processes, after.underway) == (1, None)
        assert after.age_seconds is not None
        young = after.age_seconds
        wait_for(
            lambda: (gate.status(deadline_seconds=20.0).services["www"].age_seconds or 0.0) > young,
            "it grows older",
        )
    finally:
        (tmp_path / "go").touch()
        gate.close()


def test_b2_the_oldest_process_tells_the_age(tmp_path: Path) -> None:
    """Workers come and go; the service is as old as its first process."""
    host = gate_with(tmp_path, ("dash",), start_timeout=60_000)
    program = tmp_path / NAME
    gate = LocalGate("a", "actuator", gate_path=host.gate)

    def status() -> ServiceStatus:
        return gate.status(deadline_seconds=20.0).services["www"]

    with subprocess.Popen([program, "100"]) as first:
        try:
            wait_for(lambda: (status().age_seconds or 0.0) >= 0.5, "it is half a second old")
            with subprocess.Popen([program, "100"]) as second:
                wait_for_name(second.pid, NAME)
                both = status()
                second.kill()
            assert both.processes == 2
            assert (both.age_seconds or 0.0) >= 0.5
        finally:
            first.kill()
            gate.close()


def test_b2_the_site_files_timeouts_are_in_the_host_file(tmp_path: Path) -> None:
    text = SOUND.replace(
        "stop: apachectl stop,",
        "stop: apachectl stop, start_timeout: 2m, respawn_timeout: 45, stop_timeout: 7s,",
    )
    lines = host_file(read(tmp_path, text), "a").splitlines()
    assert [line for line in lines if "timeout" in line] == [
        "start_timeout_ms 120000", "respawn_timeout_ms 45000", "stop_timeout_ms 7000",
    ]  # fmt: skip

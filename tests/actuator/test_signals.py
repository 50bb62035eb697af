"""An actuator that is asked to end does, whichever of its threads gets the signal."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.forked_programs import ForkedProgram, ForkedPrograms
from tests.support.polling import wait_for
from tests.support.ports import unused_port
from tests.support.site_files import quiet_site

pytestmark = pytest.mark.integration


def words(directory: Path) -> list[str]:
    listen = ("--listen", f"127.0.0.1:{unused_port()}", "--webhook-listen", f"127.0.0.1:{unused_port()}")
    return ["--site", str(quiet_site(directory)), *listen]


def ends(process: ForkedProgram | subprocess.Popen[bytes], number: signal.Signals, log: Path) -> None:
    """Send a signal to a thread that is not the main one once the actuator listens, and wait for its end."""
    wait_for(lambda: "event=listening" in log.read_text(), "it listens", 60, state=log.read_text)
    time.sleep(0.5)  # the main thread has nothing more to do than to wait
    others = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
    others.remove(process.pid)
    assert ctypes.CDLL(None).tgkill(process.pid, min(others), number) == 0
    assert process.wait(60) == 0
    assert "event=ending" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_another_thread_is_heard(
    programs: ForkedPrograms, number: signal.Signals, tmp_path: Path
) -> None:
    """Python runs handlers in the main thread alone, and that one slept on: a stop was forgotten now and then."""
    log = tmp_path / "actuator.log"
    log.touch()
    with programs.started("locum_actuator.server:main", words(tmp_path), log) as process:
        ends(process, number, log)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_b14_so_is_one_that_was_ignored_at_its_start(number: signal.Signals, tmp_path: Path) -> None:
    """As a script's `&` does with SIGINT; Python finds out when it starts, so it is started for real."""
    log = tmp_path / "actuator.log"
    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    command = [*ignoring, sys.executable, "-m", "locum_actuator.server", *words(tmp_path)]
    with log.open("w") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        try:
            ends(process, number, log)
        finally:
            process.kill()

"""An actuator that is asked to end does, whichever of its threads gets the signal."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.polling import wait_for
from tests.support.ports import unused_port
from tests.support.site_files import quiet_site


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("ignored", [False, True], ids=["", "started with SIGINT ignored"])
def test_a_signal_to_another_thread_is_heard(number: signal.Signals, ignored: bool, tmp_path: Path) -> None:
    """Python runs handlers in the main thread alone, and that one slept on: a stop was forgotten now and then."""
    log = tmp_path / "actuator.log"
    in_background = (
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh"] if ignored else []
    )  # as a script's `&` does (B14)
    command = [
        *in_background,
        sys.executable, "-m", "locum_actuator.server", "--site", str(quiet_site(tmp_path)),
        "--listen", f"127.0.0.1:{unused_port()}", "--webhook-listen", f"127.0.0.1:{unused_port()}",
    ]  # fmt: skip
    with log.open("w") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        try:
            wait_for(lambda: "event=listening" in log.read_text(), "it listens", 60, state=log.read_text)
            time.sleep(0.5)  # the main thread has nothing more to do than to wait
            others = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
            others.remove(process.pid)
            assert ctypes.CDLL(None).tgkill(process.pid, min(others), number) == 0
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert "event=ending" in log.read_text()

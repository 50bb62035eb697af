"""When the process that made a lab ends, nothing of the lab is left, however it ended. And labs do not meet."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Lab, LabFault

pytestmark = pytest.mark.e2e

MAKER = """
import signal
from lab import Lab
with Lab(holder="a") as lab:
    lab.popen("b", ["sleep", "1000"])
    print("up", flush=True)
    signal.pause()
"""


def descendants(pid: int) -> set[int]:
    """Every process below one. All of a lab's are below its maker: a namespace adopts its own orphans."""
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def mounts_and_links() -> tuple[list[str], str, str]:
    mounts = [line.split(" ", 4)[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    named = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    return mounts, links, named


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name
)
def test_nothing_is_left(number: signal.Signals) -> None:
    before = mounts_and_links()
    maker = subprocess.Popen([sys.executable, "-c", MAKER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert maker.stdout is not None
        assert maker.stdout.readline() == b"up\n"
        processes = descendants(maker.pid)
        assert len(processes) > 10
        assert mounts_and_links() == before  # nor does a running lab show on the machine
        maker.send_signal(number)
        maker.wait(timeout=10)
    finally:
        maker.kill()
        maker.communicate()
    deadline = time.monotonic() + 5
    while left := {pid for pid in processes if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, [Path(f"/proc/{pid}/status").read_text() for pid in left]
        time.sleep(0.01)
    assert mounts_and_links() == before


def test_labs_run_side_by_side() -> None:
    with Lab(("a",), holder="a") as one, Lab(("a",), holder="a") as other:
        one.client.wait_good()
        since = one.crash("a")
        one.client.wait_failed(since=since)
        other.client.wait_good()
        assert other.client.failed_requests(since) == 0


def test_a_lab_can_be_made_in_a_thread_that_ends() -> None:
    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor(1) as pool:
            lab = pool.submit(stack.enter_context, Lab(("a",), holder="a")).result()
        lab.client.wait_good()
        with pytest.raises(LabFault, match=r"^this lab is running already$"):
            lab.__enter__()

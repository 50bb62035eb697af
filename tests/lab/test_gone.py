"""When the process that made a lab ends, nothing of the lab is left, however it ended. And labs do not meet."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Lab, LabError
from lab.plan import PLACES
from tests.support.polling import wait_for
from tests.support.processes import alive

pytestmark = pytest.mark.e2e

MAKER = """
import time
from lab import Lab
with Lab(holder="a") as lab:
    lab.popen("b", ["sleep", "1000"])
    print("up", flush=True)
    while True:
        time.sleep(0.2)  # a signal may come to one of the lab's threads, and is heard by this one
"""


def _statuses(pids: set[int]) -> list[str]:
    return [Path(f"/proc/{pid}/status").read_text() for pid in pids if alive(pid)]


def descendants(pid: int) -> set[int]:
    """Every process below one. All of a lab's are below its maker: a namespace adopts its own orphans."""
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def traces() -> list[str]:
    """Whatever of a lab shows on the machine: cables and the bridge, disks, named namespaces."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/self/mountinfo").read_text()
    named = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    return [
        *(line for line in links.splitlines() if re.match(r"\d+: (port-|switch)", line)),
        *(line for line in mounts.splitlines() if " - tmpfs lab " in line or "upperdir=/run/" in line),
        *(line for line in named.splitlines() if line.split()[0] in PLACES),
    ]


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name
)
def test_nothing_is_left(number: signal.Signals) -> None:
    maker = subprocess.Popen([sys.executable, "-c", MAKER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert maker.stdout is not None
        assert maker.stdout.readline() == b"up\n"
        processes = descendants(maker.pid)
        assert len(processes) > 10
        assert traces() == []  # nor does a running lab show on the machine
        maker.send_signal(number)
        maker.wait(timeout=10)
    finally:
        maker.kill()
        maker.communicate()
    wait_for(
        lambda: not any(map(alive, processes)), "no process is left", 5, state=lambda: _statuses(processes)
    )
    assert traces() == []


def test_b14_a_lab_ends_by_sigint_where_a_script_started_it_in_the_background() -> None:
    """A shell without job control ignores SIGINT in what it begins with `&`, and Python then leaves it so."""
    script = 'trap "" INT; exec "$@"'
    for program in (["-c", MAKER], ["-m", "lab", "--bare"]):
        maker = subprocess.Popen(
            ["sh", "-c", script, "sh", sys.executable, *program],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        try:
            assert maker.stdout is not None
            assert any(line.startswith((b"up", b"Ctrl-C")) for line in maker.stdout)
            maker.send_signal(signal.SIGINT)
            maker.wait(timeout=60)
        finally:
            maker.kill()
            maker.communicate()


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
        with pytest.raises(LabError, match=r"^this lab is already running$"):
            lab.__enter__()

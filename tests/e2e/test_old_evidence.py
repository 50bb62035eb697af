"""The actuator's disk slow, and the actuator stopped, in a real takeover: no address is held by two hosts.

`tests/actuator/steps/test_stops.py` enumerates the instants. Here SIGSTOP and kernel are real, and strace delays
what sqlite syncs, so that long enough lies between the last question of a plan and the claim.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.lab import Lab
from lab.locum import BIN, HOME, STATE
from tests.e2e.often_moved import OftenMoved
from tests.support.polling import wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

STOPPED_SECONDS = 6.0
BACK_SECONDS = 60.0
SYNC_SECONDS = 0.7  # each fsync of the actuator takes so long
READER = """
import json, sys
from pathlib import Path
from locum_actuator.journal.incidents import IncidentQueries
from locum_actuator.journal.reader import JournalReader
shelf = IncidentQueries(JournalReader(Path(sys.argv[1])).read)
for _ in sys.stdin:
    print(json.dumps(shelf.whole()), flush=True)
"""


@pytest.fixture(scope="module")
def locum() -> Iterator[OftenMoved]:
    with Lab() as lab, OftenMoved(lab, when_unreachable="takeover") as made:
        yield made


def actuator_pid(lab: Lab) -> int:
    """Return the actuator's process id, as this machine counts."""
    root = lab.hosts[HOME].root
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            if b"locum_actuator.server" in words and (entry / "root").samefile(root):
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError("the actuator does not run")


@contextmanager
def slow_disk(pid: int) -> Iterator[None]:
    """Make every sync of a process take long."""
    delay = f"inject=fdatasync,fsync:delay_enter={int(SYNC_SECONDS * 1e6)}"
    words = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync,fsync",
        "-e",
        delay,
        "-p",
        str(pid),
    ]
    tracing = subprocess.Popen(words)
    try:
        wait_for(
            lambda: "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text(), "it is traced", 10.0
        )
        yield
    finally:
        tracing.terminate()
        tracing.wait(timeout=30)


@pytest.fixture
def incidents(locum: OftenMoved) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return the incidents, read from the journal's file on the actuator's host.

    The actuator is not asked: strace halts each of its threads at each system call, and next to other labs one
    request has taken more than five seconds. Its API itself waits for no disk
    (`test_b13_the_api_tells_incidents_while_a_commit_waits_for_the_disk`).
    """
    reading = locum.lab.popen(
        HOME, [str(BIN / "python"), "-c", READER, f"{STATE}/journal.sqlite"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    asking, answers = reading.stdin, reading.stdout
    assert asking is not None
    assert answers is not None

    def read_incidents() -> list[dict[str, Any]]:
        asking.write("\n")
        asking.flush()
        rows: list[dict[str, Any]] = json.loads(answers.readline())
        return rows

    with asking, answers:
        read_incidents()  # it has started
        yield read_incidents
    reading.wait(10)


def is_confirmed(incidents: list[dict[str, Any]], since: float) -> bool:
    """Return whether a plan has asked who has the address, and goes on."""
    return any(
        (event["kind"], event["step"]) == ("done", "confirm") and event["at"] >= since
        for row in incidents
        for event in row["events"]
    )


@pytest.mark.parametrize("stopped", [False, True], ids=["slow disk", "slow disk and SIGSTOP"])
def test_a3_a_host_that_heals_between_the_question_and_the_claim(
    locum: OftenMoved, incidents: Callable[[], list[dict[str, Any]]], stopped: bool
) -> None:
    """a is cut off; as soon as no host has answered for it when asked before the claim, it is back, and well."""
    locum.bring_back()
    lab = locum.lab
    pid = actuator_pid(lab)
    with slow_disk(pid):
        since = time.time()
        lab.cut_off("a")
        wait_for(lambda: is_confirmed(incidents(), since), "the question has been asked", BACK_SECONDS)
        healed = lab.heal_all()
        if stopped:
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(STOPPED_SECONDS)
            finally:
                os.kill(pid, signal.SIGCONT)
        wait_for(lambda: all(row["outcome"] for row in incidents()), "no incident is open", BACK_SECONDS)
        assert lab.watcher.held_by_two_seconds(healed) == 0
        assert len(lab.holders()) == 1
        lab.client.wait_good(timeout=BACK_SECONDS)

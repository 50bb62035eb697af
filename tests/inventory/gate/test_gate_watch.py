"""The gate's `watch`: what it counts, and that it ends when it is not asked any more."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.inventory.gate.gate_host import GateHost, copy_of_sleep, install_gate
from tests.support.marks import needs_root
from tests.support.polling import wait_for

pytestmark = [needs_root, pytest.mark.integration]

PID = os.getpid()
# In one go: names cut at 15 bytes, names with parentheses, and two services that share a name.
NAMES = {"www": f"w{PID}", "dns": f"d{PID}-)(x", "long": f"l{PID}-abcdefghijk"[:15], "twin": f"w{PID}"}
HOST_FILE = "".join(f"service {service}\nprocess {name}\n" for service, name in NAMES.items())


class Watching:
    """A gate that watches, over pipes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @property
    def input(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def look(self, number: int) -> dict[str, int]:
        self.input.write(f"look {number}\n")
        self.input.flush()
        assert self.line() == f"look {number}"
        counts = {}
        while (line := self.line()) != f"end {number}":
            service, count = line.split()
            counts[service] = int(count)
        return counts


@pytest.fixture(params=["dash", "busybox sh"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> GateHost:
    return install_gate(tmp_path, HOST_FILE, tuple(request.param.split()))


@pytest.fixture
def watch(host: GateHost) -> Iterator[Callable[[], Watching]]:
    started: list[subprocess.Popen[str]] = []

    def watch() -> Watching:
        process = subprocess.Popen(
            host.command("exporter", "watch"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        watching = Watching(process)
        assert watching.line() == "locum-gate 1 2"
        return watching

    yield watch
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def run() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*words: str | Path) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(words))
        return started[-1]

    yield run
    for process in started:
        with process:
            process.kill()


def gates(host: GateHost) -> int:
    found = subprocess.run(["pgrep", "-cf", str(host.gate)], capture_output=True, text=True, check=False)
    return int(found.stdout)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_it_counts_each_service_by_its_name(
    host: GateHost, watch: Callable[[], Watching], run: Callable[..., subprocess.Popen[bytes]]
) -> None:
    for name in set(NAMES.values()):
        run(copy_of_sleep(host.prefix, name), "60")
    run(copy_of_sleep(host.prefix, f"w{PID}x"), "60")  # begins like one of ours
    run(copy_of_sleep(host.prefix, f" w{PID}"), "60")  # differs by a space
    run(copy_of_sleep(host.prefix, f"l{PID}-abcdefghijk"), "60")  # cut by the kernel: the same as `long`
    watching = watch()
    counts = {"www": 1, "dns": 1, "long": 2, "twin": 1}
    wait_for(lambda: watching.look(7) == counts, f"counts are {counts}")
    assert watching.look(8) == counts


def test_a_zombie_is_not_counted_and_a_stopped_process_is(
    host: GateHost, watch: Callable[[], Watching], run: Callable[..., subprocess.Popen[bytes]]
) -> None:
    program = copy_of_sleep(host.prefix, NAMES["www"])
    dead, stopped = run(program, "60"), run(program, "60")
    watching = watch()
    wait_for(lambda: watching.look(1)["www"] == 2, "both are there")
    dead.kill()
    stopped.send_signal(19)
    wait_for(lambda: watching.look(2)["www"] == 1, "one is left")


def test_a_process_whose_first_thread_ended_lives(
    host: GateHost, watch: Callable[[], Watching], run: Callable[..., subprocess.Popen[bytes]]
) -> None:
    text = (
        f"import ctypes, threading, time; libc = ctypes.CDLL(None); libc.prctl(15, {NAMES['www'].encode()!r});"
        "threading.Thread(target=time.sleep, args=(60,)).start(); libc.syscall(60, 0)"
    )
    process = run(sys.executable, "-c", text)
    watching = watch()
    wait_for(
        lambda: f"({NAMES['www']}) Z" in Path(f"/proc/{process.pid}/stat").read_text(),
        "its first thread ended",
    )
    assert watching.look(1)["www"] == 1


def test_a_name_with_a_newline_is_another_name(host: GateHost, watch: Callable[[], Watching]) -> None:
    libc = ctypes.CDLL(None)
    before = Path("/proc/self/comm").read_bytes().rstrip(b"\n")
    libc.prctl(15, NAMES["www"].encode() + b"\nx")
    try:
        assert watch().look(1)["www"] == 0
    finally:
        libc.prctl(15, before)


def test_a_look_forks_nothing(host: GateHost, watch: Callable[[], Watching]) -> None:
    watching = watch()
    watching.look(1)

    def forks() -> int:
        return int(Path(f"/proc/{watching.process.pid}/stat").read_text().rpartition(") ")[2].split()[8])

    faults = forks()  # minor faults of reaped children: any fork would add some
    for number in range(20):
        watching.look(number)
    assert forks() == faults
    assert len(children(watching.process.pid)) == 1  # the reminder


@pytest.mark.parametrize(
    "words",
    ["look", "look x", "look -1", "look 1 2", "look 1;id", "end 1", "", "look " + "9" * 19, "x" * 5000],
)
def test_any_other_line_ends_it(watch: Callable[[], Watching], words: str) -> None:
    watching = watch()
    watching.input.write(words + "\n")
    watching.input.flush()
    assert watching.line() == ""
    assert watching.process.wait(timeout=2.0) == 0


def test_it_ends_with_its_input_and_leaves_nobody(host: GateHost, watch: Callable[[], Watching]) -> None:
    watching = watch()
    watching.look(1)
    watching.input.close()
    assert watching.process.wait(timeout=2.0) == 0
    wait_for(lambda: gates(host) == 0, "the reminder ended too")


@pytest.mark.timed
def test_it_ends_by_itself_when_nobody_asks(host: GateHost, watch: Callable[[], Watching]) -> None:
    host.gate.write_text(host.gate.read_text().replace("IDLE_SECONDS=30", "IDLE_SECONDS=0.4"))
    watching = watch()
    began = time.monotonic()
    while time.monotonic() - began < 1.0:  # while it is asked it stays
        time.sleep(0.05)  # far from 0.4: a busy machine is late with it
        watching.look(1)
    asked = time.monotonic()
    assert watching.line() == ""
    assert watching.process.wait(timeout=5.0) == 0
    assert 0.3 < time.monotonic() - asked < 5
    wait_for(lambda: gates(host) == 0, "the reminder ended too")


def test_the_reminder_ends_when_the_loop_was_killed(host: GateHost, watch: Callable[[], Watching]) -> None:
    host.gate.write_text(host.gate.read_text().replace("IDLE_SECONDS=30", "IDLE_SECONDS=0.2"))
    watching = watch()
    watching.look(1)
    watching.process.kill()
    wait_for(lambda: gates(host) == 0, "the reminder ended too")


def test_it_ends_when_the_host_file_is_new(host: GateHost, watch: Callable[[], Watching]) -> None:
    watching = watch()
    watching.look(1)
    host.write_host_file("service other\nprocess init\n")
    watching.input.write("look 2\n")
    watching.input.flush()
    assert watching.line() == ""
    assert set(watch().look(3)) == {"other"}

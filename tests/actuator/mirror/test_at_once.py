"""Calls about one directory at the same moment: each has lists of its own, and a run is never mistaken (row D5)."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.mirror_hosts import MirrorHosts, in_memory, make_hosts
from locum_actuator.domain.mirror_run import MirrorError
from tests.support.marks import needs_root

pytestmark = [needs_root, pytest.mark.integration]


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory in memory."""
    with in_memory() as directory:
        yield directory


def changes(hosts: MirrorHosts, host: str, run: int) -> str:
    words = ("mirror-changes", "www", "3", "1", str(run), "0", "0", "0", "0")
    return "\n".join(hosts.gates[host].run(*words, timeout=60))


def crowd(hosts: MirrorHosts, run: int, ended: threading.Event) -> list[threading.Thread]:
    """Ask on and on what changed on b; returns the threads that do."""

    def ask() -> None:
        while not ended.is_set():
            changes(hosts, "b", run)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    return threads


def test_d5_a_newer_file_on_b_is_never_overwritten_while_others_ask_what_changed(base: Path) -> None:
    hosts = make_hosts(base)
    for number in range(300):
        (hosts.tree("a") / f"file{number}").write_text(f"{number}\n")
    first = hosts.run()
    assert first.done
    (hosts.tree("b") / "file7").write_text("b's own, and newer\n")
    ended = threading.Event()
    threads = crowd(hosts, first.run, ended)
    try:
        for _ in range(6):
            result = hosts.run()
            assert (result.outcome, "1 changed on this host" in result.text) == ("refused", True), result.text
            assert (hosts.tree("b") / "file7").read_text() == "b's own, and newer\n"
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    hosts.close()


def test_d5_what_a_run_writes_is_not_taken_for_the_hosts_own_changes(base: Path) -> None:
    hosts = make_hosts(base, {"bandwidth_limit": "1M"})
    first = hosts.run()
    assert first.done
    for number in range(20):
        (hosts.tree("a") / f"file{number}").write_bytes(os.urandom(100_000))
    thread = threading.Thread(target=hosts.run)
    thread.start()
    answers = []
    while thread.is_alive():
        answers.append(changes(hosts, "b", first.run))
        time.sleep(0.05)
    thread.join()
    assert hosts.results[-1].done, hosts.results[-1].text
    # Before it wrote, nothing had changed; while it wrote, it could not be said.
    during = [answer for answer in answers if "end refused" in answer]
    assert during
    assert all("ask again when it has ended" in answer for answer in during), during
    assert all("\nchanged 0\n" in answer for answer in answers[:-1] if answer not in during), answers
    assert "\nchanged 0\n" in changes(hosts, "b", hosts.results[-1].run)
    hosts.close()


def test_d5_a_divergence_that_cannot_be_told_says_so(base: Path) -> None:
    hosts = make_hosts(base)
    assert hosts.run().done
    lock = hosts.gates["b"].run_directory / "www.mirror"
    held = 'exec 8>>"$1" && flock 8 && echo locked && exec sleep 60'
    with subprocess.Popen(["sh", "-c", held, "sh", lock], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(MirrorError, match="a run writes here now: ask again when it has ended"):
            hosts.mirrors.divergence("www", "a", "b")
        holder.kill()
    assert hosts.mirrors.divergence("www", "a", "b").other.count == 0
    hosts.close()


def test_d5_a_crowd_that_asks_does_not_keep_a_run_from_its_work(base: Path) -> None:
    hosts = make_hosts(base)
    first = hosts.run()
    ended = threading.Event()
    threads = crowd(hosts, first.run, ended)
    try:
        for number in range(3):
            (hosts.tree("a") / "index.html").write_text(f"{number}\n")
            assert hosts.run().done, hosts.results[-1].text
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    hosts.close()


def test_d5_a_call_that_was_killed_leaves_nothing_for_long(base: Path) -> None:
    hosts = make_hosts(base)
    assert hosts.run().done
    directory = hosts.gates["b"].state / "mirror"
    (directory / "call.4194399.abcdef").mkdir()  # no process has such a number: it is beyond pid_max
    (directory / "call.4194399.abcdef" / "here").write_text("x")
    assert hosts.run().done
    assert not list(directory.glob("call.*"))
    assert not list((hosts.gates["a"].state / "mirror").glob("call.*"))
    hosts.close()

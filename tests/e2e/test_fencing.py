"""Fencing on real parts: a host that cannot be asked is switched off before its address moves, or nothing moves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator

import pytest

from lab.lab import Lab
from lab.locum import Locum
from tests.e2e.often_moved import wait_for_event
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def fenced() -> Iterator[Locum]:
    """locum on b, a holding the service, and a power switch that switches a; `when_unreachable: refuse`."""
    with Lab() as lab, Locum(lab, when_unreachable="refuse", fence=True) as locum:
        lab.client.wait_good()
        yield locum


def stop_sshd_and_hang(lab: Lab, name: str) -> float:
    """A host that answers ping and nothing else."""
    lab.run(name, ["sh", "-c", "kill $(cat /run/sshd.pid)"])
    for pid, command, _ in list(lab.host(name).processes()):
        if command == "sshd":
            with contextlib.suppress(ProcessLookupError):  # the listener's end takes children along
                os.kill(pid, signal.SIGKILL)
    return lab.hang_service(name)


FAULTS = {
    "its link is dead, and it lives on with the address": lambda lab: lab.blackhole("a"),
    "it answers ping, its sshd is gone and Apache hangs": lambda lab: stop_sshd_and_hang(lab, "a"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fenced_then_taken_over(fenced: Locum, fault: object) -> None:
    lab, power = fenced.lab, fenced.power
    assert power is not None
    at = fault(lab)  # type: ignore[operator]
    incident = fenced.wait_incident("takeover", since=at)
    lab.client.wait_good(since=at, timeout=20)
    assert lab.client.answered_by(at) == "b"
    assert lab.holders() == ["b"]
    assert not lab.hosts["a"].up, "a is off, and stays off"
    assert [(action, name) for _, action, name in power.switched] == [("off", "a")]
    assert lab.watcher.held_by_two_seconds(at) == 0
    # A host whose link is dead is heard by no watcher: the switch reports that it was off before b claimed.
    (off_at, _, _) = power.switched[0]
    (claimed,) = [e for e in incident["events"] if (e["kind"], e["step"]) == ("started", "claim")]
    assert off_at < claimed["at"]

    def decision() -> str:
        words: str = json.loads(fenced.command("status", "www", "--json").stdout)["hosts_seen"]["a"]
        return words

    wait_for(
        lambda: decision().startswith("fenced 20"), "the next round", 10
    )  # it asks a's gate for 2 s in vain
    words = decision()
    seen = "fence_lab says that a is off, and it answers no ping; it stays off until a person switches it on"
    assert words.startswith("fenced 20")
    assert seen in words


def test_not_taken_over_while_the_fence_is_not_confirmed(fenced: Locum) -> None:
    lab, power = fenced.lab, fenced.power
    assert power is not None
    live = fenced.command("check", "--live", check=False).stdout
    assert "ok       fence of a (fence_lab): reports that a is on\n" in live
    assert "ok       fence secret /etc/locum/fence.password: present (mode 0640)\n" in live
    power.temper = "claims"
    at = stop_sshd_and_hang(lab, "a")
    # Before it, a busy machine may find its evidence too old to fence, and check again.
    text = wait_for_event(fenced, at, "failed", "it could not be confirmed", seconds=60)
    assert text == (
        "it could not be confirmed that a is off (fence_lab: status says on): make sure that it is, then move the"
        " service by hand"
    )
    assert wait_for_event(fenced, at, "decided", "refuse").endswith(
        "fencing a did not work, and will be retried later"
    )
    assert lab.holders() == ["a"]


def test_without_fencing_a_host_that_answers_ping_alone_is_not_taken_over() -> None:
    with Lab() as lab, Locum(lab) as locum:
        lab.client.wait_good()
        at = stop_sshd_and_hang(lab, "a")
        text = wait_for_event(locum, at, "decided", "refuse")
        assert text.startswith("refuse: a answers ping but not its gate (")
        assert lab.holders() == ["a"]

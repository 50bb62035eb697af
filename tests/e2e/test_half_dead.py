"""Hosts that are neither well nor dead: what is done about each, and that two never hold the address."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from lab.lab import Lab
from tests.e2e.often_moved import OftenMoved

pytestmark = pytest.mark.e2e

CALM_SECONDS = 2.5  # a service that serves on shows it
ALERT_SECONDS = 1.5
ALONE_SECONDS = 4.0

Verb = Callable[[Lab], object]


def of_locum(lab: Lab) -> float:
    """Let the user locum have no process."""
    return lab.no_more_processes_of("a", "locum")


@pytest.fixture(scope="module")
def unfenced() -> Iterator[OftenMoved]:
    """Nothing to fence with."""
    with Lab() as lab, OftenMoved(lab) as locum:
        yield locum


@pytest.fixture(scope="module")
def fenced() -> Iterator[OftenMoved]:
    """a can be fenced."""
    with Lab() as lab, OftenMoved(lab, when_unreachable="refuse", fence=True) as locum:
        yield locum


@pytest.fixture
def on_a(unfenced: OftenMoved) -> Iterator[OftenMoved]:
    """a holds the service and nothing is wrong; afterwards it is put right again."""
    unfenced.bring_back()
    yield unfenced
    unfenced.lab.wake_service("a")
    unfenced.lab.repair("a")


def serves_on(locum: OftenMoved, fault: Verb) -> float:
    """Bring a fault upon a and see that nothing is done while its service answers; return when it began."""
    lab, at = locum.lab, time.time()
    fault(lab)
    time.sleep(CALM_SECONDS)
    assert lab.holders() == ["a"]
    assert lab.client.failed_requests(at) == 0
    assert [row for row in locum.incidents() if row["opened_at"] >= at and row["outcome"] != "nothing"] == []
    return at


# What sshd cannot start ends in one of these ways; which one is a matter of the moment.
NOT_STARTED = (
    "the connection was closed|the login was interrupted|did not finish status|no connection in time"
)
SILENT_GATE: dict[str, tuple[Verb, str]] = {
    "sshd gone": (lambda lab: lab.stop_sshd("a"), "refused the connection"),
    "sshd stopped": (lambda lab: lab.freeze_sshd("a"), "no connection in time|did not finish status"),
    "the gate hangs": (lambda lab: lab.hang_gate("a"), "the gate did not finish status within"),
    "no process more": (lambda lab: lab.no_more_processes("a"), NOT_STARTED),
    "no process more for locum's user": (of_locum, NOT_STARTED),
}


@pytest.mark.parametrize(("fault", "says"), SILENT_GATE.values(), ids=SILENT_GATE)
def test_without_fencing_a_host_with_a_silent_gate_is_not_taken_over(
    on_a: OftenMoved, fault: Verb, says: str
) -> None:
    """It answers ping and may hold the address: people are notified what to do, and it ends with the fault."""
    lab = on_a.lab
    serves_on(on_a, fault)
    at = lab.hang_service("a")
    said = on_a.wait_event(at, "decided", "refuse: a answers ping but not its gate (")
    assert re.search(says, said), said
    assert said.endswith(
        "it may still hold the address, and it cannot be fenced; repair the gate or switch the host off"
    )
    time.sleep(ALERT_SECONDS)
    assert lab.holders() == ["a"]
    assert lab.watcher.held_by_two_seconds(at) == 0
    lab.wake_service("a")
    on_a.wait_incident("nothing", since=at)


UNWRITABLE: dict[str, Verb] = {
    "the disk is full": lambda lab: lab.fill_disk("a"),
    "the disk is read-only": lambda lab: lab.read_only_disk("a"),
}


@pytest.mark.parametrize("fault", UNWRITABLE.values(), ids=UNWRITABLE)
def test_a_host_that_can_write_nothing_is_released(on_a: OftenMoved, fault: Verb) -> None:
    """A release is never refused because an epoch could not be written."""
    lab = on_a.lab
    serves_on(on_a, fault)
    at = lab.hang_service("a")
    incident = on_a.wait_incident("takeover", since=at)
    assert incident["reason"].startswith("the service on a does not answer though the host does (")
    lab.client.wait_good(since=at)
    assert lab.client.answered_by(at) == "b"
    assert lab.holders() == ["b"]
    assert lab.watcher.held_by_two_seconds(at) == 0
    assert "apache2" not in {name for _, name, state in lab.hosts["a"].processes() if state not in "ZX"}


def test_a_full_disk_that_keeps_a_service_from_starting_leads_to_a_takeover(on_a: OftenMoved) -> None:
    lab = on_a.lab
    lab.fill_disk("a")
    at = lab.kill_service("a")
    incident = on_a.wait_incident("takeover", since=at)
    why = "apache2 is not running on a and a respawn did not help (not proven from outside)"
    assert incident["reason"] == why
    assert lab.watcher.held_by_two_seconds(at) == 0
    assert lab.holders() == ["b"]


def test_a_read_only_disk_does_not_keep_a_service_from_starting(on_a: OftenMoved) -> None:
    lab = on_a.lab
    lab.read_only_disk("a")
    at = lab.kill_service("a")
    incident = on_a.wait_incident("respawn", since=at)
    assert incident["reason"] == "apache2 is not running on a"
    assert lab.holders() == ["a"]


def test_an_actuator_that_can_open_nothing_does_nothing(on_a: OftenMoved) -> None:
    """What it cannot check it does not judge, and what it cannot hear comes again."""
    lab = on_a.lab
    lab.no_more_files("b", "locum_actuator.server", "locum")
    at = lab.hang_service("a")
    time.sleep(ALONE_SECONDS)
    assert lab.holders() == ["a"]
    lab.repair("b")
    on_a.wait_incident("takeover", since=at)
    lab.client.wait_good(since=at)
    assert lab.holders() == ["b"]
    assert lab.watcher.held_by_two_seconds(at) == 0


FENCED = ("sshd stopped", "the gate hangs", "no process more")


@pytest.mark.parametrize("name", FENCED)
def test_with_fencing_it_is_switched_off_first(fenced: OftenMoved, name: str) -> None:
    fenced.bring_back()
    lab = fenced.lab
    SILENT_GATE[name][0](lab)
    at = lab.hang_service("a")
    incident = fenced.wait_incident("takeover", since=at)
    assert incident["reason"].startswith("a answers ping, but neither its gate (")
    assert not lab.hosts["a"].up
    assert lab.holders() == ["b"]
    assert lab.watcher.held_by_two_seconds(at) == 0

"""Patrols: what is noticed without any alert, and how often the address is announced."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.engine import patrol as patrol_module
from locum_actuator.engine.context import Context
from locum_actuator.engine.patrol import CALM_SECONDS, WARY_SECONDS, Finding, Patrol
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import GateError, GateStatus
from tests.actuator.fakes import FakeGate, FakeWorld, site


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})


@pytest.fixture
def patrol(world: FakeWorld, tmp_path: Path) -> Patrol:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    return Patrol(Context(site(), "www", journal, Metrics(), world.gates, world))


def test_all_well(patrol: Patrol) -> None:
    assert patrol.round() is None
    assert patrol.seen == {
        "a": "holds the address, 3 processes",
        "b": "does not hold the address, 0 processes",
    }
    assert patrol.standby_available
    assert patrol.pause_seconds == CALM_SECONDS


def test_stripped(patrol: Patrol, world: FakeWorld) -> None:
    world.gates["a"].held = False
    assert patrol.round() == Finding("patrol: a does not hold the address")


def test_held_by_another(patrol: Patrol, world: FakeWorld) -> None:
    world.gates["b"].held = True
    assert patrol.round() == Finding("patrol: b holds the address and is not the holder")


def test_there_unused(patrol: Patrol, world: FakeWorld) -> None:
    """It may come to be used as soon as the cable is pulled and plugged."""
    world.gates["b"].stuck = "dadfailed"
    found = "patrol: b is not the holder and has the address, unused (192.0.2.100 dadfailed)"
    assert patrol.round() == Finding(found)
    words = "does not hold the address (there, unused: 192.0.2.100 dadfailed), 0 processes"
    assert patrol.seen["b"] == words


def test_the_last_standby_is_gone_and_comes_back(patrol: Patrol, world: FakeWorld) -> None:
    world.gates["b"].fault = "unreachable"
    assert patrol.round() is None
    assert not patrol.standby_available
    assert patrol.pause_seconds == WARY_SECONDS
    world.gates["b"].fault = None
    assert patrol.round() == Finding("patrol: b answers again", frozenset({"b"}))
    assert patrol.standby_available
    assert patrol.round() is None, "it comes back once"
    assert patrol.pause_seconds == WARY_SECONDS, "and is watched for a while"


def test_a1_a_gate_that_could_not_be_asked_is_neither_gone_nor_back(patrol: Patrol, world: FakeWorld) -> None:
    assert patrol.round() is None
    world.gates["b"].fault = "busy"
    assert patrol.round() is None
    assert patrol.standby_available
    assert patrol.missing == frozenset()
    assert patrol.pause_seconds == CALM_SECONDS
    assert patrol.seen["b"] == "its gate could not be asked: gate busy"
    world.gates["b"].fault = None
    assert patrol.round() is None, "it does not come back, because it was not away"


def test_a1_a_silent_gate_that_then_could_not_be_asked_is_still_missing(
    patrol: Patrol, world: FakeWorld
) -> None:
    world.gates["b"].fault = "unreachable"
    assert patrol.round() is None
    world.gates["b"].fault = "busy"
    assert patrol.round() is None
    assert not patrol.standby_available
    assert patrol.missing == {"b"}
    world.gates["b"].fault = None
    assert patrol.round() == Finding("patrol: b answers again", frozenset({"b"}))


def test_b11_a_ping_that_breaks_keeps_no_round_from_what_else_it_finds(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop was held up for two seconds, and the address was taken off the holder by hand."""

    def late(host: str) -> int | None:
        raise TimeoutError

    monkeypatch.setattr(world, "echoes", late)
    world.gates["b"].fault = "timeout"
    world.gates["a"].held = False
    assert patrol.round() == Finding("patrol: a does not hold the address")


def test_whoever_was_silent_to_an_incident_comes_back_even_between_two_rounds(patrol: Patrol) -> None:
    """It crashed, was taken over and had booted before the next round: it must be released all the same."""
    assert patrol.round() is None
    patrol.poll_faster(missing=frozenset({"b"}))
    assert patrol.missing == {"b"}
    assert patrol.round() == Finding("patrol: b answers again", frozenset({"b"}))
    assert patrol.round() is None


def test_a_holder_that_comes_back_is_no_stranger(patrol: Patrol, world: FakeWorld) -> None:
    world.gates["a"].fault = "unreachable"
    patrol.round()
    world.gates["a"].fault = None
    assert patrol.round() is None


def test_announced_at_first_and_every_minute(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for _ in range(4):
        patrol.round()
        now[0] += 25
    assert world.gates["a"].calls == ["claim", "claim"], "by the holder's own gate, at 0 s and at 75 s"


def test_announced_at_once_after_doubt(patrol: Patrol, world: FakeWorld) -> None:
    patrol.round()
    patrol.poll_faster()
    patrol.round()
    assert world.gates["a"].calls == ["claim"], "an incident without doubt about the holder is none"
    patrol.poll_faster(announce=True)
    for _ in range(3):
        patrol.round()
    assert world.gates["a"].calls == ["claim", "claim"], "once, and not in a storm"


def test_announced_here_where_this_host_holds(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(patrol_module, "announce", lambda interface, addresses: said.append(interface))
    patrol.context.journal.set_holder("www", "b", 2)
    world.gates["a"].held, world.gates["b"].held = False, True
    world.gates["b"].processes = 3
    patrol.round()
    assert said == ["eth0"]
    assert world.gates["b"].calls == []


def test_nothing_is_announced_while_something_is_wrong(patrol: Patrol, world: FakeWorld) -> None:
    world.gates["b"].held = True
    patrol.round()
    assert world.gates["a"].calls == []


def test_a_fenced_host_is_named_until_it_answers_again(patrol: Patrol, world: FakeWorld) -> None:
    journal = patrol.context.journal
    incident = journal.open_incident("www", "test")
    journal.note(incident, "done", "it is off; it stays off", step="fence", host="b")
    world.gates["b"].fault = "unreachable"
    patrol.round()
    assert patrol.seen["b"].startswith("fenced 20")
    assert patrol.seen["b"].endswith(": it is off; it stays off (gate silent: gate unreachable)")
    seen = {"seen": {"hosts": {"b": {"gate": "answers"}}}}
    journal.note(incident, "decided", "it answers again", data=seen)
    patrol.round()
    assert patrol.seen["b"] == "gate silent: gate unreachable", "what happened before it came back is history"


@pytest.mark.timed
def test_an_alert_does_not_wait_for_the_gate_of_a_dead_host(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in the middle of a round once cost two seconds: the round waited for the dead host's gate."""
    given_up = threading.Event()

    def dead(*, deadline_seconds: float) -> GateStatus:
        given_up.wait(10)
        raise GateError("timeout", "no answer")

    monkeypatch.setattr(world.gates["a"], "status", dead)
    before = dict(patrol.seen)
    asked_at = time.monotonic()
    assert patrol.round(lambda: time.monotonic() - asked_at > 0.05) is None
    assert time.monotonic() - asked_at < 5
    assert patrol.seen == before, "a round that was broken off has seen nothing"
    given_up.set()


FAILS: dict[str, tuple[dict[str, object], str]] = {
    "killed": ({"processes": 0}, "patrol: the service does not answer on a"),
    "hung": ({"hung": {"a"}}, "patrol: the service does not answer on a"),
    "crashed": ({"dead": {"a"}}, "patrol: the service does not answer on a"),
    "its address is closed": (
        {"through_address": False},
        "patrol: the service answers on a but not through its address",
    ),
}


@pytest.mark.parametrize(("fault", "reason"), FAILS.values(), ids=FAILS)
def test_b3_a_round_notices_a_dead_service_without_any_alert(
    patrol: Patrol, world: FakeWorld, fault: dict[str, object], reason: str
) -> None:
    for name, value in fault.items():
        setattr(world.gates["a"] if name == "processes" else world, name, value)
    assert patrol.round() == Finding(reason)


def test_b3_one_failed_look_is_asked_again_at_once(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Outcome.FAILED, Outcome.WELL]
    monkeypatch.setattr(world, "service_on", lambda service, host: CheckOutcome("b", answers.pop(0), "words"))
    assert patrol.round() is None
    assert answers == []


def test_b3_a_look_that_could_not_be_made_finds_nothing(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(service: str) -> CheckOutcome:
        raise TimeoutError

    monkeypatch.setattr(
        world,
        "service_on",
        lambda service, host: CheckOutcome("b", Outcome.NOT_LOOKED, "no CA file", "permission"),
    )
    monkeypatch.setattr(world, "service_through_address", broken)
    assert patrol.round() is None


@pytest.mark.timed
def test_b3_a_finding_does_not_wait_for_the_gate_of_a_dead_host(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()

    def dead(*, deadline_seconds: float) -> GateStatus:
        given_up.wait(60)
        raise GateError("timeout", "no answer")

    world.dead.add("a")
    monkeypatch.setattr(world.gates["a"], "status", dead)
    begun = time.monotonic()
    assert patrol.round() == Finding("patrol: the service does not answer on a")
    assert time.monotonic() - begun < 30
    given_up.set()


def test_b3_rounds_of_every_second_do_not_ask_the_service_every_second(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    looks: list[float] = []

    def look(service: str, host: str) -> CheckOutcome:
        looks.append(now[0])
        return CheckOutcome("b", Outcome.WELL, "answered 200")

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(world, "service_on", look)
    for _ in range(9):
        patrol.round()
        now[0] += 1
    assert looks == [1000.0, 1004.0, 1008.0]


def test_b3_rounds_that_cannot_check_the_service_are_told_after_some(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, outcome = [1000.0], [Outcome.NOT_LOOKED]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(
        world, "service_on", lambda service, host: CheckOutcome("b", outcome[0], "no CA file")
    )
    reasons = []
    for seen in (Outcome.NOT_LOOKED, Outcome.NOT_LOOKED, Outcome.NOT_LOOKED, Outcome.WELL):
        outcome[0] = seen
        patrol.round()
        now[0] += 5
        reasons.append(patrol.checks.why_unchecked)
    assert reasons == [None, None, "no CA file", None]


def test_b3_a_check_that_raises_leaves_no_earlier_result_as_the_reason(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, broken = [1000.0], [False]

    def look(service: str, host: str) -> CheckOutcome:
        if broken[0]:
            raise TimeoutError
        return CheckOutcome("b", Outcome.WELL, "answered 200")

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(world, "service_on", look)
    for raises in (False, True, True, True):
        broken[0] = raises
        patrol.round()
        now[0] += 5
    assert patrol.checks.why_unchecked == "the check raised an exception: see the log"


def test_b5_a_round_that_could_not_check_the_holder_does_not_say_that_it_answers(
    patrol: Patrol, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        world, "service_on", lambda service, host: CheckOutcome("b", Outcome.NOT_LOOKED, "no CA file")
    )
    world.through_address = False
    assert patrol.round() == Finding("patrol: the service does not answer through its address")


def test_b5_a_round_brings_no_old_finding_back(patrol: Patrol, world: FakeWorld) -> None:
    """A takeover that only this host could prove was once reported as proven, by a round without a check since."""

    def reached() -> float | None:
        return patrol.context.metrics.registry.get_sample_value("locum_actuator_reached", {"service": "www"})

    patrol.round()
    assert reached() == 1
    patrol.context.metrics.set_reached("www", Outcome.NOT_LOOKED)
    patrol.round()
    assert reached() is None, "it was not due"
    patrol.poll_faster()
    patrol.round()
    assert reached() == 1, "after an incident it is"

"""What holds a sound plan back, as a table; and which hosts are seen to fail at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine.context import Context
from locum_actuator.engine.explain import decide_now
from locum_actuator.engine.incident import Incident
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.observation.storm import NEAR_SECONDS, SETTLE_SECONDS, StormDetector
from locum_inventory.site.model import Site
from tests.actuator.fakes import FakeGate, FakeWorld, host, site, situation
from tests.actuator.shortcuts import kernel_of

HELD_BY_A = Memory(holder="a", epoch=1)
DEAD = situation(host("a", echoes=(0, 20), gate="timeout"), host("b"))
ABSENT = situation(host("a", holds=True), host("b"))
STRIPPED = situation(host("a", serves=True, processes=3), host("b"))
TAKEOVER = ("confirm on b", "start on b", "claim on b", "prove on b")


def plan_for(seen: Situation, memory: dict[str, Any], takeover: dict[str, Any]) -> Plan:
    values = site(**takeover).services["www"]
    respawn = values.commands.model_copy(update={"respawn": "apachectl restart"}) if values.commands else None
    return decide(seen, replace(HELD_BY_A, **memory), values.model_copy(update={"commands": respawn}))


HELD_BACK: dict[str, tuple[Situation, dict[str, Any], dict[str, Any], tuple[str, str], str]] = {
    "paused": (
        DEAD,
        {"paused": "until noon (new kernel)"},
        {},
        ("record", "paused"),
        "paused until noon (new kernel); would have: confirm on b, start on b, claim on b, prove on b, because",
    ),
    "observed rather than paused": (
        DEAD,
        {"paused": "until noon (x)"},
        {"mode": "observe"},
        ("record", "observe"),
        "mode is observe; would have: confirm on b",
    ),
    "the takeovers of the hour are spent": (
        DEAD,
        {"takeovers_last_hour": 3},
        {},
        ("refuse", "budget"),
        "3 takeovers in the last hour, and max_per_hour is 3: find out why the service keeps moving",
    ),
    "just taken over": (
        DEAD,
        {"seconds_since_takeover": 59.0},
        {},
        ("refuse", "cooldown"),
        "the last takeover was less than takeover.cooldown (60 s) ago: the next may begin after that",
    ),
    "another holder fails as well": (
        DEAD,
        {"holding_hosts": 3, "failing_elsewhere": frozenset({"c"})},
        {},
        ("refuse", "storm"),
        "a and c began to fail within the same half minute, which points to the network rather than to each host; ",
    ),
    "another holder is looked at": (
        DEAD,
        {"holding_hosts": 3, "unseen_elsewhere": frozenset({"c"})},
        {},
        ("keep_looking", "storm"),
        "c is being checked as well: it may be a storm",
    ),
}


@pytest.mark.parametrize(
    ("seen", "memory", "takeover", "outcome", "reason"), HELD_BACK.values(), ids=HELD_BACK
)
def test_held_back(
    seen: Situation, memory: dict[str, Any], takeover: dict[str, Any], outcome: tuple[str, str], reason: str
) -> None:
    plan = plan_for(seen, memory, takeover)
    assert (plan.kind, plan.code) == outcome
    assert plan.reason.startswith(reason)
    assert plan.steps == ()
    assert tuple(map(str, plan.would)) == TAKEOVER, "and it says what it would have done"


GOES_ON: dict[str, tuple[Situation, dict[str, Any], dict[str, Any], tuple[str, str]]] = {
    "nothing holds it back": (DEAD, {}, {}, ("takeover", "takeover")),
    "the cooldown is over": (DEAD, {"seconds_since_takeover": 60.0}, {}, ("takeover", "takeover")),
    "no cooldown is wanted": (
        DEAD, {"seconds_since_takeover": 0.1}, {"cooldown": 0}, ("takeover", "takeover")
    ),
    "two hosts hold something and both fail": (
        DEAD, {"holding_hosts": 2, "failing_elsewhere": frozenset({"c"})}, {}, ("takeover", "takeover")
    ),
    "many services of the one host fail": (
        DEAD, {"holding_hosts": 9, "failing_elsewhere": frozenset({"a"})}, {}, ("takeover", "takeover")
    ),
    "a storm that the site file would have it act in": (
        DEAD,
        {"holding_hosts": 3, "failing_elsewhere": frozenset({"c"})},
        {"when_storm": "takeover"},
        ("takeover", "takeover"),
    ),
    "a respawn moves nothing": (
        ABSENT,
        {"takeovers_last_hour": 9, "holding_hosts": 3, "failing_elsewhere": frozenset({"c"})},
        {},
        ("respawn", "absent"),
    ),
    "an address given back to its holder moves nothing": (
        STRIPPED, {"takeovers_last_hour": 9, "seconds_since_takeover": 1.0}, {}, ("claim", "unheld")
    ),
    "nine respawns": (ABSENT, {"respawns_last_hour": {"a": 9}}, {}, ("respawn", "absent")),
    "ten respawns are no cure": (ABSENT, {"respawns_last_hour": {"a": 10}}, {}, ("takeover", "flapping")),
    "ten respawns on the other host": (ABSENT, {"respawns_last_hour": {"b": 10}}, {}, ("respawn", "absent")),
    "two, where two are the limit": (
        ABSENT, {"respawns_last_hour": {"a": 2}}, {"max_respawns_per_hour": 2}, ("takeover", "flapping")
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "memory", "takeover", "outcome"), GOES_ON.values(), ids=GOES_ON)
def test_goes_on(
    seen: Situation, memory: dict[str, Any], takeover: dict[str, Any], outcome: tuple[str, str]
) -> None:
    plan = plan_for(seen, memory, takeover)
    assert (plan.kind, plan.code) == outcome
    assert plan.acts


def test_flapping_says_how_often() -> None:
    plan = plan_for(ABSENT, {"respawns_last_hour": {"a": 10}}, {})
    assert plan.reason == "apache2 is not running on a, and 10 respawns there within an hour did not help"


def test_a_storm_is_of_hosts_and_of_about_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    storm = StormDetector()
    storm.looked("www", "a", failing=True)
    storm.looked("mail", "a", failing=True)
    assert storm.near("www") == (frozenset(), frozenset()), "one host's many services are one fault"
    storm.opened("dns", "c")
    assert storm.near("www") == (frozenset(), frozenset({"c"}))
    storm.looked("dns", "c", failing=True)
    assert storm.near("www") == (frozenset({"c"}), frozenset())
    assert storm.near("dns") == (frozenset({"a"}), frozenset())
    storm.looked("dns", "c", failing=False)
    assert storm.near("www") == (frozenset({"c"}), frozenset()), "a network comes back port by port"
    storm.looked("www", "a", failing=False)
    storm.looked("www", "a", failing=True)
    assert storm.near("www") == (frozenset(), frozenset()), "a fault of its own, begun when c was well"
    storm.looked("dns", "c", failing=True)
    assert storm.near("www") == (frozenset({"c"}), frozenset())
    storm.closed("dns")
    now[0] += SETTLE_SECONDS - 1
    assert storm.near("www") == (frozenset({"c"}), frozenset())
    now[0] += 1
    assert storm.near("www") == (frozenset(), frozenset()), "c is well, and a is not: it was no storm"
    now[0] += NEAR_SECONDS + 1
    storm.looked("dns", "c", failing=True)
    storm.looked("www", "a", failing=True)
    assert storm.near("www") == (frozenset(), frozenset()), "a's fault is an older one"
    storm.closed("www")
    storm.looked("www", "a", failing=True)
    assert storm.near("www") == (frozenset({"c"}), frozenset())


def three_hosts() -> Site:
    """Three services, each held by a host of its own, and b to stand in."""
    values = site().model_dump(exclude_unset=True)
    www = values["services"]["www"]
    for number, name in enumerate(("c", "d"), 3):
        values["hosts"][name] = {"address": f"192.0.2.{number}", "ssh": {"user": "locum"}}
    values["services"] = {
        f"of_{name}": {**www, "hosts": [name, "b"], "addresses": [f"192.0.2.{100 + number}/24"]}
        for number, name in enumerate(("a", "c", "d"))
    }
    return Site.model_validate(values)


def handle(context: Context, seconds: float = 0.2) -> list[str]:
    """Work an incident for a while and return what was decided."""
    ended = threading.Event()
    threading.Timer(seconds, ended.set).start()
    number = context.journal.open_incident(context.name, "LocumServiceDown")
    Incident(context, number).handle(ended)
    return [event["text"] for event in context.journal.incidents(context.name)[0]["events"]]


def test_a_fault_of_another_host_a_moment_ago_is_a_storm(tmp_path: Path) -> None:
    """What one service's incident sees is in time before the other decides: they share one memory of it."""
    values, journal, storm = three_hosts(), Journal(tmp_path / "j"), StormDetector()
    world = FakeWorld({name: FakeGate(held=True, processes=3, epoch=1) for name in ("a", "c", "d")})
    world.gates["b"] = FakeGate()
    for name in ("a", "c", "d"):
        journal.set_holder(f"of_{name}", name, 1)
    there = Context(values, "of_a", journal, Metrics(), world.gates, world, storm)
    world.dead.add("a")
    world.gates = {name: world.gates[name] for name in ("a", "b")}
    storm.looked("of_c", "c", failing=True)
    assert handle(there)[0].startswith("refuse: a and c began to fail within the same half minute")
    assert not world.gates["b"].held
    assert storm.known() == {"c"}, "an incident that ended is no fault any more"


def nobody_told(_: FakeWorld, __: StormDetector) -> None:
    """c is as dead as a, and its own alert is still on its way."""


def gate_answers(world: FakeWorld, _: StormDetector) -> None:
    world.gates["c"].fault = None  # its echoes are filtered, say


def refuses_a_key(world: FakeWorld, _: StormDetector) -> None:
    world.gates["c"].fault = "auth"


def older(world: FakeWorld, storm: StormDetector) -> None:
    storm.looked("of_c", "c", failing=True)
    fault = storm._faults["of_c"]
    storm._faults["of_c"] = replace(fault, began=fault.began - NEAR_SECONDS - 1)


def seen_to_fail(_: FakeWorld, storm: StormDetector) -> None:
    storm.looked("of_c", "c", failing=True)


STORM = "refuse: a and c began to fail within the same half minute"
TAKEN_OVER = "takeover: a does not answer at all"


@pytest.mark.parametrize(
    ("c_is", "decided"),
    [
        (nobody_told, STORM),
        (seen_to_fail, STORM),
        (gate_answers, TAKEN_OVER),
        (refuses_a_key, TAKEN_OVER),
        (older, TAKEN_OVER),
    ],
    ids=lambda value: value.__name__.replace("_", " ") if callable(value) else "",
)
def test_other_holders_are_asked_before_anything_moves(
    c_is: Callable[[FakeWorld, StormDetector], None],
    decided: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A switch takes a and c away at one instant; through Prometheus they come up to a second apart."""
    values, journal, storm = three_hosts(), Journal(tmp_path / "j"), StormDetector()
    world = FakeWorld({name: FakeGate(held=True, processes=3, epoch=1) for name in ("a", "c", "d")})
    world.gates["b"] = FakeGate(names=("of_a",))
    kernel_of(world.gates["b"], monkeypatch)
    for name in ("a", "c", "d"):
        journal.set_holder(f"of_{name}", name, 1)
    there = Context(values, "of_a", journal, Metrics(), world.gates, world, storm)
    world.dead |= {"a", "c"}
    world.gates["a"].fault = world.gates["c"].fault = "timeout"
    c_is(world, storm)
    world.gates = {name: world.gates[name] for name in ("a", "b")}  # what a check of of_a finds
    plan = decide_now(there, world.situation("of_a"))
    assert f"{plan.kind}: {plan.reason}".startswith(decided), "explain says before what would be done"
    assert not world.gates["b"].held
    assert handle(there)[0].startswith(decided)
    assert world.gates["b"].held == (decided == TAKEN_OVER)


def test_a_host_whose_services_have_not_failed_in_half_a_minute_holds_nobody_back(tmp_path: Path) -> None:
    """It may be silent to us and serve its clients: then there is no storm."""
    values, journal = three_hosts(), Journal(tmp_path / "j")
    world = FakeWorld({name: FakeGate(held=True, processes=3, epoch=1) for name in ("a", "c", "d")})
    world.gates["b"] = FakeGate()
    for name in ("a", "c", "d"):
        journal.set_holder(f"of_{name}", name, 1)
    there = Context(values, "of_a", journal, Metrics(), world.gates, world)
    world.dead |= {"a", "c"}
    world.gates["a"].fault = world.gates["c"].fault = "timeout"
    world.gates = {name: world.gates[name] for name in ("a", "b")}
    incident = Incident(there, journal.open_incident("of_a", "LocumServiceDown"))
    situation = world.situation("of_a")

    def decided() -> Plan:
        return incident._strategy.decide(situation, incident._memory(), incident._silent_elsewhere)

    assert decided().code == "storm"
    incident.opened -= NEAR_SECONDS + 1
    assert decided().kind == "takeover"


def test_respawns_and_takeovers_are_counted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.set_holder("www", "a", 1)
    world = FakeWorld({"a": FakeGate(held=True, epoch=1), "b": FakeGate()})
    there = Context(site(), "www", journal, Metrics(), world.gates, world)
    handle(there)
    assert journal.counts.respawns_since("www", 0) == {"a": 1}
    assert there.memory().respawns_last_hour == {"a": 1}
    assert there.memory().seconds_since_takeover is None
    journal.counts.count_takeover("www", 7)
    journal.counts.takeover_done("www", 7)
    assert (there.memory().seconds_since_takeover or 99) < 5
    assert there.memory().holding_hosts == 1

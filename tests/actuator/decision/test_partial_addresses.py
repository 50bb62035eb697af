"""Addresses that stand on a card unused: what is decided, and that a release and a claim end it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps.base import StepContext
from locum_actuator.steps.runner import Sequence
from locum_inventory.site.model import Service, Site
from tests.actuator.fakes import FakeGate, FakeWorld, host, site, situation

A_HOLDS = Memory(holder="a", epoch=1)
STANDBY = host("b")
SIX = ip_address("2001:db8::100")


def two_addresses() -> Service:
    values = site().model_dump()
    values["services"]["www"]["addresses"] = ["192.0.2.100/24", f"{SIX}/64"]
    return Site.model_validate(values).services["www"]


def lacking_one(why: str) -> HostView:
    """a serves, holds the IPv4 address, and has that of IPv6 unused."""
    return replace(host("a", serves=True, holds=True, processes=3), unusable_addresses={SIX: why})


ROWS = {
    "the holder's only one: claimed again once the wire is asked": (
        situation(host("a", serves=True, processes=3, unused="dadfailed"), STANDBY),
        A_HOLDS, "claim", "unheld", ("confirm on a", "start on a", "claim on a", "prove on a"),
        "no host holds the address (there, unused: dadfailed) and a serves",
    ),
    "… and another host of the site answers for it": (
        situation(host("a", serves=True, processes=3, unused="dadfailed"), STANDBY, holders=("b",)),
        A_HOLDS, "adopt", "adopted", (), "b holds the address (the journal named a)",
    ),
    "… and a stranger answers for it": (
        situation(
            host("a", serves=True, processes=3, unused="dadfailed"), STANDBY,
            strangers=("02:00:00:00:00:99",),
        ),
        A_HOLDS, "refuse", "stranger", (),
        "02:00:00:00:00:99 answers for the service address and belongs to no host of this site: find that machine"
        " and remove it there",
    ),
    "… and the wire could not be asked": (
        situation(host("a", serves=True, processes=3, unused="tentative"), STANDBY, looked=False),
        A_HOLDS, "refuse", "could_not_look", (),
        "no host holds the address (there, unused: tentative) and a serves, but it could not be checked whether "
        "another host has it",
    ),
    "a standby's: taken off before it comes to be used": (
        situation(host("a", serves=True, holds=True, processes=3), host("b", unused="dadfailed")),
        A_HOLDS, "release", "unused", ("release on b",),
        "b has 192.0.2.100 unused (dadfailed), and a is the holder",
    ),
    "… and that did not help": (
        situation(host("a", serves=True, holds=True, processes=3), host("b", unused="dadfailed")),
        replace(A_HOLDS, tried=frozenset({"release:b"})), "refuse", "unused", (),
        "b has 192.0.2.100 unused (dadfailed), and a release did not remove it: find out why there",
    ),
    "the standby that takes over has it unused: the wire is asked anyway": (
        situation(host("a", gate="no answer", echoes=(0, 20)), host("b", unused="dadfailed")),
        A_HOLDS, "takeover", "takeover", ("confirm on b", "start on b", "claim on b", "prove on b"), None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "memory", "kind", "code", "steps", "reason"), ROWS.values(), ids=ROWS.keys()
)
def test_decided(
    seen: Situation, memory: Memory, kind: str, code: str, steps: tuple[str, ...], reason: str | None
) -> None:
    plan = decide(seen, memory, site().services["www"])
    assert (plan.kind, plan.code, tuple(map(str, plan.steps))) == (kind, code, steps)
    assert reason in {None, plan.reason}


def test_one_of_two_is_claimed_anew_once_the_wire_is_asked() -> None:
    plan = decide(situation(lacking_one("dadfailed"), STANDBY), A_HOLDS, two_addresses())
    assert tuple(map(str, plan.steps)) == ("confirm on a", "claim on a", "prove on a")
    assert plan.reason == "a serves and does not hold 2001:db8::100 (there, unused: dadfailed)"


def test_one_of_two_stays_where_nobody_could_be_asked() -> None:
    plan = decide(situation(lacking_one("dadfailed"), STANDBY, looked=False), A_HOLDS, two_addresses())
    assert (plan.kind, plan.code) == ("refuse", "could_not_look")


@pytest.mark.parametrize("verb", ["release", "claim"])
def test_a_step_ends_it(tmp_path: Path, verb: str) -> None:
    """A gate that says no more than that nothing is held has not yet confirmed a release."""
    world = FakeWorld({"a": FakeGate(stuck="dadfailed", epoch=1), "b": FakeGate()})
    steps = (PlannedStep("release", "a"),) if verb == "release" else (PlannedStep("claim", "a"),)
    context = StepContext(
        site=site(), name="www",
        gates=world.gates, observer=world, epoch=2, old_holder="a",
    )  # fmt: skip
    journal = Journal(tmp_path / "journal.sqlite")
    number = journal.open_incident("www", "test")
    plan = Plan("release", "unused", "test", steps, "a" if verb == "claim" else None)
    assert Sequence(journal, Metrics(), number).run(plan, context).done
    assert world.gates["a"].calls == [verb]
    assert (world.gates["a"].stuck, world.gates["a"].held) == (None, verb == "claim")

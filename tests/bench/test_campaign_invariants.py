"""The campaign's invariants, on observations written by hand: each must be able to fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

from bench.campaign import invariants
from bench.campaign.cards import Look
from bench.campaign.inject import Mark
from bench.campaign.invariants import Observation
from bench.campaign.schedule import Fault
from lab.client import Sample

PACE = 0.02


def mark(
    at: float, what: Literal["begins", "heals", "returns"], kind: str, host: str, words: str | None = None,
    asked: float = 0.0, **detail: Any,
) -> Mark:  # fmt: skip
    return Mark(at, what, Fault(kind, host, at, at, detail), words, asked)


def seen(
    held: Mapping[float, str],
    answered: Mapping[float, str] | None = None,
    marks: Sequence[Mark] = (),
    end: float = 10.0,
) -> Observation:
    """Both mappings name what holds from a second on: the holders' letters, and what host answers ("" for none)."""
    ticks = [number * PACE for number in range(round(end / PACE))]

    def now(course: Mapping[float, str], at: float) -> str:
        return [value for since, value in course.items() if since <= at + 1e-9][-1]

    samples = []
    for number, at in enumerate(ticks if answered else ()):
        host = now(answered or {}, at) or None
        samples.append(Sample(number, at, 0.001 if host else 0.2, host, None if host else "timeout"))
    looks = [Look(at, frozenset(now(held, at))) for at in ticks]
    return Observation(0.0, end, end, marks, looks, samples)


PARTITION = (mark(2, "begins", "partition", "a", arp=True), mark(6, "heals", "partition", "a", arp=True))
DEAF = (mark(2, "begins", "blackhole", "a"), mark(6, "heals", "blackhole", "a"))
PAUSED = (mark(2, "begins", "pause", "a"), mark(6, "heals", "pause", "a"))
FROZEN = (mark(2, "begins", "freeze", "a"), mark(6, "heals", "freeze", "a"))
BROUGHT = (
    mark(1, "begins", "crash", "a", keeps_address=True),
    mark(4, "heals", "crash", "a", keeps_address=True),  # on a busy machine a boot takes seconds
    mark(6.3, "returns", "crash", "a", asked=6.1, keeps_address=True),
)
HELD: dict[str, tuple[Mapping[float, str], Sequence[Mark], tuple[float, float, float]]] = {
    "one after the other": ({0: "a", 4: "", 5: "b"}, (), (0, 0, 0)),
    "two in a partition": ({0: "a", 3: "ab", 7: "b"}, PARTITION, (4, 0, 0)),
    "two without any fault": ({0: "a", 3: "ab", 5: "a"}, (), (2, 0, 0)),
    "the old one is cut off, and let go before it is heard": ({0: "a", 3: "ab", 5: "b"}, DEAF, (0, 2, 0)),
    "the old one is cut off, comes back with it and lets go": ({0: "a", 3: "ab", 6.5: "b"}, DEAF, (0, 3, 0.5)),
    "a fault that did not take hold excuses nothing": (
        {0: "a", 3: "ab", 5: "b"}, (mark(2, "begins", "blackhole", "a", "did not take hold"),), (2, 0, 0),
    ),
    "the old one is paused, goes on with it and lets go": ({0: "a", 3: "ab", 6.5: "b"}, PAUSED, (0, 3, 0.5)),
    "the old one is frozen, and answers ARP all the same": ({0: "a", 3: "ab", 5: "b"}, FROZEN, (2, 0, 0)),
    "the old one boots with it": ({0: "a", 1: "", 2: "b", 6.2: "ab", 6.6: "b"}, BROUGHT, (0, 0, 0.4)),
    "it lets go after its return, and takes it again": (
        {0: "a", 3: "ab", 6.5: "b", 7: "ab", 8: "b"}, DEAF, (1, 3, 0.5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", HELD)
def test_held(row: str) -> None:
    held, marks, expected = HELD[row]
    found = invariants.held(seen(held, marks=marks))
    assert (found.by_two, found.while_cut_off, found.returning) == pytest.approx(expected, abs=0.03)


def test_an_address_of_another_service_that_two_hold_counts_as_well() -> None:
    www, other = seen({0: "a"}), seen({0: "a", 3: "ab", 4: "b"})
    both = replace(www, other_looks=[www.looks, other.looks])
    assert invariants.held(both).by_two == pytest.approx(1, abs=0.03)


TAKEN: dict[
    str, tuple[Mapping[float, str], Mapping[float, str], Sequence[Mark], list[tuple[str, str, bool]]]
] = {
    "a healthy holder": ({0: "a", 6: "", 6.2: "b"}, {0: "a", 6: "", 6.2: "b"}, (), [("a", "b", True)]),
    "a healthy holder that keeps the address": ({0: "a", 6: "ab"}, {0: "a"}, (), [("a", "b", True)]),
    "one that had been killed": (
        {0: "a", 6: "", 6.2: "b"}, {0: "a", 5: "", 6.2: "b"}, (mark(5, "begins", "kill", "a"),),
        [("a", "b", False)],
    ),
    "one that had been silent without a fault for three of five seconds": (
        {0: "a", 6: "", 6.2: "b"}, {0: "a", 3: "", 6.2: "b"}, (), [("a", "b", False)],
    ),
    "one that had been killed and had recovered": (
        {0: "a", 6: "", 6.2: "b"}, {0: "a", 3: "", 3.5: "a", 6: "", 6.2: "b"}, (mark(3, "begins", "kill", "a"),),
        [("a", "b", True)],
    ),
    "a fault of another host excuses nothing": (
        {0: "a", 6: "", 6.2: "b"}, {0: "a", 5: "", 6.2: "b"}, (mark(5, "begins", "kill", "b"),), [("a", "b", True)],
    ),
    "one that was losing its power when it was last looked at": (
        {0: "a", 6: "", 7: "b"}, {0: "a", 6: "", 7: "b"}, (mark(6.3, "begins", "crash", "a", asked=5.99),),
        [("a", "b", False)],
    ),
    "one that lost its power after it had been taken": (
        {0: "a", 6: "", 7: "b"}, {0: "a", 6: "", 7: "b"}, (mark(6.3, "begins", "crash", "a", asked=6.1),),
        [("a", "b", True)],
    ),
    "one that thawed with the address after the other had claimed it": (
        {0: "a", 4: "ab", 7.2: "b"}, {0: "a", 2: "", 4: "b"},
        (mark(2, "begins", "pause", "a"), mark(7, "heals", "pause", "a")), [("a", "b", False)],
    ),
    "given back to the same host": ({0: "a", 4: "", 6: "a"}, {0: "a", 4: "", 6: "a"}, (), []),
    "the campaign itself brought the address": (
        {0: "b", 6.1: "ab", 6.4: "b"}, {0: "b"}, BROUGHT, [],
    ),
    "a host that booted took it later": (
        {0: "b", 6.1: "ab", 6.4: "b", 8: "ab"}, {0: "b"}, BROUGHT, [("b", "a", True)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", TAKEN)
def test_takings(row: str) -> None:
    held, answered, marks, expected = TAKEN[row]
    found = invariants.takings(seen(held, answered, marks))
    assert [(one.old, one.new, one.healthy) for one in found] == expected


def test_seconds_without_service() -> None:
    course = seen({0: "a"}, {0: "a", 4: "", 5.5: "b", 8: "", 8.1: "b"})
    assert invariants.seconds_without_service(course.samples) == pytest.approx(1.6, abs=0.05)


@pytest.mark.parametrize(("answered", "well"), [({0: "a", 8.5: ""}, False), ({0: "", 8.5: "b"}, True)])
def test_answers_at_end(answered: Mapping[float, str], well: bool) -> None:
    assert invariants.answers_at_end(seen({0: "a"}, answered)) is well


ALERT = {
    "name": "LocumServiceDown", "service": "www", "host": "a", "status": "firing", "starts_at": "t",
    "fingerprint": "f",
}  # fmt: skip
HEARTBEAT = {**ALERT, "name": "LocumHeartbeat"}
LOST = {
    "in the journal": ([(202, ALERT)], [ALERT], 0),
    "not in the journal": ([(202, ALERT)], [], 1),
    "twice answered, once in the journal": ([(202, ALERT), (202, ALERT)], [ALERT], 1),
    "another status in the journal": ([(202, ALERT)], [{**ALERT, "status": "resolved"}], 1),
    "the answer was lost and it was sent again": ([(202, ALERT)], [ALERT, ALERT], 0),
    "not accepted": ([(503, ALERT)], [], 0),
    "the heartbeat is not journaled": ([(202, HEARTBEAT)], [], 0),
}


@pytest.mark.parametrize("row", LOST)
def test_lost_alerts(row: str) -> None:
    hooks, journal, count = LOST[row]
    webhooks = [{"status": status, "alerts": [alert]} for status, alert in hooks]
    assert len(invariants.lost_alerts(webhooks, journal)) == count

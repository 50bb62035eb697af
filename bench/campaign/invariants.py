"""The invariants, evaluated from an observer's record, independent of locum: pure functions.

*Held by two*: two hosts have the service address on their cards, and the wire carries both. Two times are counted
apart. *While cut off*: all but one of them are cut off. *Returning*: a host that came back (its wire
healed, or its power) with the address while another had it, until one of the two lets it go.

*Healthy and taken*: a host lost the address to another one although it had answered at least half of the client's
requests in the five seconds before; of these seconds only those count that follow the latest fault of its power,
service, address or whole wire, for a host that was killed a second ago had answered four of the five.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from bench.campaign.cards import GAP_SECONDS, PACE_SECONDS, Look
from bench.campaign.inject import Mark
from lab.client import Sample

BEFORE_SECONDS = 5.0
HEALTHY_SHARE = 0.5
FEWEST_REQUESTS = 10  # fewer are not evidence
SILENT = frozenset({"blackhole", "unplug", "pause"})  # faults after which a host is cut off
DISABLING = SILENT | {"crash", "freeze", "kill", "hang", "drop_address", "close_service_address"}


@dataclass(frozen=True, slots=True)
class Observation:
    """The observations of one scenario, from `began` to `ended` (time.time(), as all times here)."""

    began: float
    ended: float
    healed: float
    marks: Sequence[Mark]
    looks: Sequence[Look]
    samples: Sequence[Sample]
    other_looks: Sequence[Sequence[Look]] = ()  # for each address of other services


@dataclass(slots=True)
class Held:
    """Seconds in which two hosts had the address on their cards."""

    by_two: float = 0.0
    while_cut_off: float = 0.0
    returning: float = 0.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A change of holder; `share` of the client's requests had the old one answered, of `requests`."""

    at: float
    old: str
    new: str
    share: float
    requests: int

    @property
    def healthy(self) -> bool:
        """Whether the old holder should have been left alone."""
        return self.requests >= FEWEST_REQUESTS and self.share >= HEALTHY_SHARE


@dataclass(slots=True)
class _Returns:
    """Which hosts came back with the address while another one had it."""

    silent_before: frozenset[str] = frozenset()
    hosts: set[str] = field(default_factory=set)

    def look(self, holders: frozenset[str], silent: frozenset[str], booted: frozenset[str]) -> frozenset[str]:
        if len(holders) > 1:
            self.hosts |= (self.silent_before - silent) & holders
            self.hosts |= booted & holders
        self.hosts &= holders
        if len(holders) < 2:
            self.hosts.clear()
        self.silent_before = silent
        return frozenset(self.hosts)


def held(seen: Observation) -> Held:
    """Return how long two hosts held an address. A check speaks until the next, for `GAP_SECONDS` at most."""
    found = Held()
    for looks in (seen.looks, *seen.other_looks):
        _add_held(found, seen, looks)
    return found


def _add_held(found: Held, seen: Observation, looks: Sequence[Look]) -> None:
    """Add what was seen of one address."""
    returns = _Returns()
    for look, following in pairwise([*looks, None]):
        assert look is not None
        until = following.at if following is not None else look.at + PACE_SECONDS
        seconds = min(until - look.at, GAP_SECONDS)
        silent = _silent(seen.marks, look.at)
        came_back = returns.look(look.holders, silent, _just_booted(seen.marks, look.at))
        if len(look.holders) < 2:
            continue
        if len(look.holders - silent) < 2:
            found.while_cut_off += seconds
        elif len(look.holders - silent - came_back) < 2:
            found.returning += seconds
        else:
            found.by_two += seconds


def takings(seen: Observation) -> list[Taken]:
    """Return each change of holder that was not brought about by the campaign itself."""
    found: list[Taken] = []
    owner: str | None = None
    let_go = gone = 0.0  # when the owner was last seen to have the address, and when next was looked
    before: frozenset[str] = frozenset()
    for look in seen.looks:
        if gone <= let_go or owner in look.holders:
            gone = look.at
        if owner in look.holders:
            let_go = look.at
        new = look.holders - before - _just_booted(seen.marks, look.at)
        for host in sorted(new):
            if owner is not None and host != owner:
                found.append(_taken(seen, (let_go, gone), owner, host))
            if owner not in look.holders or owner is None or host != owner:
                owner, let_go = host, look.at
        if owner not in look.holders and len(look.holders) == 1:
            (owner,) = look.holders
            let_go = look.at
        before = look.holders
    return found


def _taken(seen: Observation, left: tuple[float, float], old: str, new: str) -> Taken:
    """Judge a change of holder: the old one had the address at the first moment of `left`, maybe not at the second.

    A fault that was being brought between the two took the address itself: who loses his power has it no more.
    """
    let_go, gone = left
    onsets = [
        mark.at for mark in seen.marks
        if mark.what == "begins" and mark.words is None and (mark.asked or mark.at) <= gone
        and mark.fault.host == old and mark.fault.kind in DISABLING
    ]  # fmt: skip
    since = max([let_go - BEFORE_SECONDS, *onsets])
    asked = [one for one in seen.samples if one.started >= since and one.ended <= let_go]
    answered = sum(one.ok and one.host == old for one in asked)
    return Taken(let_go, old, new, answered / len(asked) if asked else 0.0, len(asked))


def seconds_without_service(samples: Sequence[Sample]) -> float:
    """Add up the time from each failed request to the next one, `GAP_SECONDS` at most for each."""
    later = sorted(samples, key=lambda one: one.started)
    return sum(
        min(following.started - one.started, GAP_SECONDS) for one, following in pairwise(later) if not one.ok
    )


def lost_alerts(webhooks: Iterable[Mapping[str, Any]], journal: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return, in words, the alerts of webhooks answered with 202 that the journal has not, or has too rarely.

    The heartbeat is not journaled. The journal may have more: an answer can be lost, and the webhook sent again.
    """
    heard = Counter(
        _name(alert)
        for hook in webhooks
        if hook["status"] == 202
        for alert in hook["alerts"]
        if alert["name"] != "LocumHeartbeat"
    )
    written = Counter(_name(row) for row in journal)
    return [
        f"{' '.join(map(str, name))}: answered {count} times, {written[name]} in the journal"
        for name, count in heard.items()
        if written[name] < count
    ]


def _name(alert: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(alert[key] for key in ("name", "service", "host", "status", "starts_at", "fingerprint"))


def answers_at_end(seen: Observation, seconds: float = 2.0) -> bool:
    """Whether the client had good answers to at least half of its last requests."""
    last = [one for one in seen.samples if one.started >= seen.ended - seconds]
    return bool(last) and sum(one.ok for one in last) >= len(last) / 2


def _silent(marks: Sequence[Mark], at: float) -> frozenset[str]:
    """Return the hosts that are cut off at that moment."""
    found: set[str] = set()
    for mark in marks:
        if mark.at <= at and mark.fault.kind in SILENT and mark.words is None:
            (found.add if mark.what == "begins" else found.discard)(mark.fault.host)
    return frozenset(found)


def _just_booted(marks: Sequence[Mark], at: float) -> frozenset[str]:
    """Return the hosts that at that moment may be bringing the address back from their own boot configuration."""
    return frozenset(
        mark.fault.host
        for mark in marks
        if mark.what == "returns" and mark.asked <= at <= mark.at + GAP_SECONDS
    )

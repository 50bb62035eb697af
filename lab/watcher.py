"""The watcher: continuously observes on the wire which hosts answer for the service address."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lab.host import Host
from lab.namespaces import INSIDE, PYTHON
from lab.plan import CARD, PLACES, Address
from lab.stream import Stream

PACE_SECONDS = 0.02
GAP_SECONDS = 0.1  # a longer time between two rounds is a gap in the observation
_NAMES = {place.mac: place.name for place in PLACES.values()}


@dataclass(frozen=True, slots=True)
class Round:
    """One request and its answers: hosts by name, an unknown card by its MAC."""

    sent: float  # time.time()
    holders: frozenset[str]


@dataclass(frozen=True, slots=True)
class Announcement:
    """An unsolicited announcement of the service address."""

    at: float  # time.time()
    host: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without observations (the watcher got no CPU time); nothing is known about it."""

    began: float
    seconds: float


def held_by_two_seconds(rounds: Sequence[Round], since: float) -> float:
    """Return the seconds since `since` during which more than one host answered for the service address.

    A round counts for the time until the next one, but for at most `GAP_SECONDS`: the rest is a gap, see `gaps`.
    Answers that do not reach the watcher (from a host that is cut off, or in a lost frame) are not counted:
    `Lab.holders` reads the state of the hosts themselves.
    """
    later = [one for one in rounds if one.sent >= since]
    seconds = 0.0
    for index, one in enumerate(later):
        until = later[index + 1].sent if index + 1 < len(later) else one.sent + PACE_SECONDS
        if len(one.holders) > 1:
            seconds += min(until - one.sent, GAP_SECONDS)
    return seconds


def gaps(rounds: Sequence[Round], since: float) -> list[Gap]:
    """Return the times without observations since `since`."""
    later = [one.sent for one in rounds if one.sent >= since]
    return [Gap(one, following - one) for one, following in pairwise(later) if following - one > GAP_SECONDS]


def timeline(rounds: Iterable[Round], since: float) -> list[Round]:
    """Return the first round and the rounds in which the answer changed."""
    changes: list[Round] = []
    for one in rounds:
        if one.sent >= since and (not changes or changes[-1].holders != one.holders):
            changes.append(one)
    return changes


class Watcher:
    """Asks every 20 ms on the wire which host has a service address, from a separate host and card."""

    def __init__(self, host: Host, address: Address) -> None:
        self.address = address
        process = host.popen(
            [*PYTHON, str(INSIDE / "watches.py"), CARD, str(address), str(PACE_SECONDS)],
            stdout=subprocess.PIPE,
        )
        self._stream = Stream(f"watcher of {address}", process, _record)

    def rounds(self, since: float = 0.0) -> list[Round]:
        """Return the rounds sent at `since` or later and closed (100 ms after they were sent)."""
        return [one for one in self._stream.records() if isinstance(one, Round) and one.sent >= since]

    def announcements(self, since: float = 0.0) -> list[Announcement]:
        """Return the gratuitous ARP and unsolicited neighbour advertisements received at `since` or later."""
        return [one for one in self._stream.records() if isinstance(one, Announcement) and one.at >= since]

    def holders(self, since: float = 0.0) -> list[Round]:
        """Return the holders of the address since `since`, as a list of changes."""
        return timeline(self.rounds(since), since)

    def held_by_two_seconds(self, since: float) -> float:
        """Call the function of that name on the observations so far."""
        return held_by_two_seconds(self.rounds(since), since)

    def gaps(self, since: float = 0.0) -> list[Gap]:
        """Return the times without observations."""
        return gaps(self.rounds(since), since)

    def wait_holders(self, holders: Iterable[str], timeout: float = 30.0) -> float:
        """Wait until exactly these hosts answer in a round sent from now on; return when it was sent."""
        begin, wanted = time.time(), frozenset(holders)
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            rounds = self.rounds(begin)
            found = next((one.sent for one in rounds if one.holders == wanted), None)
            if found is not None:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                last = ", ".join(sorted(rounds[-1].holders)) if rounds else "not asked"
                raise TimeoutError(
                    f"held by {last or 'no host'}, not by {', '.join(sorted(wanted)) or 'no host'}"
                )
            seen = self._stream.wait(seen, left)

    def close(self) -> None:
        """Stop reading; the watcher's host must have ended."""
        self._stream.close()


def _record(line: Mapping[str, Any]) -> Round | Announcement:
    if "announced" in line:
        return Announcement(line["announced"], _NAMES.get(line["mac"], line["mac"]))
    return Round(line["sent"], frozenset(_NAMES.get(mac, mac) for mac in line["macs"]))

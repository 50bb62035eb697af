"""The wire between the hosts: what is lost, late, or goes one way only, and who else is on it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.host import Host

ROUND_TRIP_SECONDS = 0.0005
TRIES = 3  # of a question over the wire that is repeated when no answer comes: ARP, a ping of an exporter
STRANGER_MAC = "02:00:00:00:99:99"


@dataclass(slots=True)
class Wire:
    """One network that all hosts are on."""

    hosts: Mapping[str, Host]
    chance: random.Random
    severed: set[tuple[str, str]] = field(default_factory=set)  # (from, to): packets this way are lost
    witness_dead: bool = False
    stranger: bool = False  # a machine of no site answers for the address

    def reaches(self, source: str, destination: str) -> bool:
        """Send one packet and its answer; return whether the answer comes back, however late."""
        if source == destination:
            return True
        one, other = self.hosts[source], self.hosts[destination]
        if one.cut or other.cut or not (one.is_heard and other.is_heard):
            return False
        if self.severed and ((source, destination) in self.severed or (destination, source) in self.severed):
            return False
        if not one.loses and not other.loses:
            return True
        return all(self.chance.random() >= end.loses for end in (one, other) for _ in range(2))

    def reaches_repeated(self, source: str, destination: str) -> bool:
        """Send a question up to TRIES times; return whether an answer came back before the asker gave up."""
        return self.round_trip(source, destination) < 0.3 and any(
            self.reaches(source, destination) for _ in range(TRIES)
        )

    def round_trip(self, source: str, destination: str) -> float:
        """Return the seconds that a packet and its answer take."""
        if source == destination:
            return ROUND_TRIP_SECONDS
        late = self.hosts[source].delay_seconds + self.hosts[destination].delay_seconds
        return ROUND_TRIP_SECONDS + 2 * late

    def witness_answers(self, name: str) -> bool:
        """Return whether a host gets an answer from the witness."""
        host = self.hosts[name]
        return not (host.cut or self.witness_dead) and host.delay_seconds < 0.05

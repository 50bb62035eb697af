"""Measure how long two hosts hold the address, as observed on the wire, when a host returns after a takeover."""

from __future__ import annotations

import time
from dataclasses import dataclass

from lab.lab import SSHD, Lab
from lab.locum import Locum

AWAY_SECONDS = 3.0  # between the takeover and the return
WATCHED_SECONDS = 4.0  # after the boot; locum checks a missing host at least every second
TAKEOVER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Way:
    """A way to set up a host for its return."""

    name: str
    configured: bool  # its boot configuration has the service address and starts the service
    guarded: bool  # it has a boot guard
    fenced: bool  # locum switches it off before the takeover, and a person switches it on again
    never_two: bool  # whether locum guarantees that two hosts never hold the address


WAYS = {
    way.name: way
    for way in (
        Way("configured at boot", configured=True, guarded=False, fenced=False, never_two=False),
        Way("configured at boot, with the boot guard", True, True, False, never_two=True),
        Way("fenced, and booting as documented", False, False, True, never_two=True),
    )
}


@dataclass(frozen=True, slots=True)
class Comeback:
    """The result of one return."""

    way: Way
    at: float  # time.time() when it began to boot
    held_by_two_seconds: float
    longest_gap_seconds: float  # time without an observation of the holder
    failed_requests: int
    holders: tuple[str, ...]  # at the end, from each host's own state

    def faults(self) -> list[str]:
        """Return the violated expectations as text; empty if there are none."""
        found = []
        if self.way.never_two and self.held_by_two_seconds > 0:
            found.append(f"two hosts held the address for {self.held_by_two_seconds * 1000:.0f} ms")
        if self.way.never_two and self.longest_gap_seconds > 0:
            found.append(f"the holder was not observed for {self.longest_gap_seconds * 1000:.0f} ms")
        if self.holders != ("b",):
            found.append(f"{' and '.join(self.holders) or 'no host'} holds the address at the end, not b")
        return found


def locum_for(lab: Lab, way: Way) -> Locum:
    """Return locum with this setup, not yet entered as a context."""
    return Locum(lab, fence=way.fenced, boot_guard=way.guarded)


def crash_and_take_over(lab: Lab, locum: Locum, way: Way) -> None:
    """Cut the power of a, which holds the service, wait until b has taken over, and set a up for its return."""
    lab.client.wait_good()
    host = lab.host("a")
    if way.configured:
        host.boot_addresses = list(lab.service_addresses)
    else:
        host.boot_services = [list(SSHD)]
    at = lab.crash("a")
    locum.wait_incident("takeover", since=at, seconds=TAKEOVER_SECONDS)
    lab.client.wait_good(since=at, timeout=TAKEOVER_SECONDS)


def come_back(lab: Lab, way: Way) -> Comeback:
    """Restore the power of a and observe what happens."""
    at = time.time()
    lab.reboot("a")
    time.sleep(WATCHED_SECONDS)
    return Comeback(
        way=way,
        at=at,
        held_by_two_seconds=lab.watcher.held_by_two_seconds(at),
        longest_gap_seconds=max((gap.seconds for gap in lab.watcher.gaps(at)), default=0.0),
        failed_requests=lab.client.failed_requests(at),
        holders=tuple(lab.holders()),
    )

"""What locum may order: no order takes from a host what it serves, ends a start too early, or breaks a pause.

Part of the contract that invariants.py lists (2 and 8). An order is judged at the moment at which it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.actuator import Actuator
from sim.evidence import Evidence
from sim.world import World

HEALTHY_SECONDS = 3.0  # a holder that has been well for so long is left alone
PAUSED_SECONDS = 2.0  # a check that began before a pause may still be decided upon
FIRST_PLAN_SECONDS = 3.0  # after its start a process decides by the journal that it began with
# A service that was started is left alone: noticed after the first time, and its limit is beyond the second.
NOTICED_SECONDS, STARTS_SECONDS = 1.0, 25.0
TAKING = frozenset({"release", "stop", "respawn", "fence"})


@dataclass(frozen=True, slots=True)
class Orders:
    """Judges the orders of the actuator."""

    world: World
    actuator: Actuator
    evidence: Evidence

    def broken_by(self, verb: str, name: str) -> str | None:
        """Return the promise that an order to a host breaks, in words; None if it breaks none."""
        if self.evidence.moved_by_person():
            return None
        found = None
        if verb in TAKING and not self.evidence.clock_stood_still(name):
            found = (
                self._healthy_taken(verb, name)
                or self._newer_taken(verb, name)
                or self._starting_taken(verb, name)
            )
        return found or self._while_paused(verb, name)

    def _healthy_taken(self, verb: str, name: str) -> str | None:
        well = self.evidence.well_for(name)
        if well < HEALTHY_SECONDS:
            return None
        if self.evidence.was_one_of_two(name):
            return None  # one of two holders has to go
        if verb == "fence" and self.evidence.seen_for(name) < HEALTHY_SECONDS:
            return None  # behind a line that is cut: it is switched off before another host gets the address
        return f"{verb} was sent to {name}, which had been well for {well:.1f} s"

    def _newer_taken(self, verb: str, name: str) -> str | None:
        """Return an order to the newer one of two holders, which serves; the journal was older at the start."""
        host, actuator = self.world.hosts[name], self.actuator
        others = [
            other
            for other in self.world.hosts.values()
            if other is not host and other.has_address and other.is_heard
        ]
        if not others or not host.serves or self.world.now - actuator.began_at > FIRST_PLAN_SECONDS:
            return None
        if host.epoch <= actuator.began_with_epoch:
            return None  # whom an interrupted plan gave it to, only the journal knows
        if any(other.epoch >= host.epoch for other in others):
            return None
        names = " and ".join(sorted(other.name for other in others))
        return f"{verb} was sent to {name}, which serves and knows a newer epoch than {names}"

    def _starting_taken(self, verb: str, name: str) -> str | None:
        """Return an order that ends the start of a holder's service, which was ordered a moment ago."""
        host = self.world.hosts[name]
        if host.service != "starting" or not host.has_address or host.started_by_boot:
            return None
        age = self.world.now - host.started_at
        if not NOTICED_SECONDS < age < STARTS_SECONDS or self.evidence.was_one_of_two(name):
            return None
        if self.evidence.seen_for(name) < HEALTHY_SECONDS:
            return None
        return f"{verb} was sent to {name}, whose service had been starting for {age:.1f} s"

    def _while_paused(self, verb: str, name: str) -> str | None:
        """Return an order of a plan that was decided while a pause had long begun; None if it is of none."""
        actuator = self.actuator
        decided_later = self.world.decided_at - actuator.paused_since
        if decided_later < PAUSED_SECONDS or actuator.up_since > actuator.paused_since:
            return None
        if actuator.disk.commit_seconds or actuator.disk.fault is not None:
            return None
        return f"{verb} was sent to {name} though the service had been paused for {decided_later:.1f} s"

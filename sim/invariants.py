"""What must hold after every event, whatever happens (docs/trust.md)."""

from __future__ import annotations

from dataclasses import dataclass, field

from locum_actuator.system import runtime
from sim.world import World

# A host that comes back with the address (thawed, plugged in) is made to release it within this time.
RETURNING_SECONDS = 15.0
# The evidence behind a claim over a gate may be so old (steps/plan_evidence.py), and its verb takes a moment.
CLAIM_SECONDS = 2.5
HEALTHY_SECONDS = 3.0  # a holder that has been well so long is not taken from
LEFT_DOWN_SECONDS = 45.0  # a service that could be served is served again within this time
SITUATIONS_A_SECOND = 30


@dataclass(slots=True)
class Invariants:
    """Checks the world after every change, and keeps what the checks need to know of the past."""

    world: World
    service_hosts: tuple[str, ...]
    broken: str | None = None  # the first violation, in words
    _well_since: dict[str, float] = field(default_factory=dict)
    _back_at: dict[str, float] = field(default_factory=dict)  # when a host was last able to answer again
    _was_answering: dict[str, bool] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)
    _held: frozenset[str] = frozenset()  # by whom, whether or not they can answer
    _unserved_since: float | None = None

    def check(self) -> None:
        """Check all; keep the first violation."""
        if self.broken is not None:
            return
        now = runtime.monotonic()
        self._note(now)
        held = frozenset(name for name in self.service_hosts if self.world.hosts[name].has_address)
        gained, lost, self._held = held - self._held, self._held - held, held
        self.broken = (
            self._held_by_two(gained, now)
            or self._healthy_taken(lost, now)
            or self._epoch_shrank()
            or self._left_down(now)
        )

    def _answers(self, name: str) -> bool:
        host = self.world.hosts[name]
        return host.runs and not host.cut

    def _note(self, now: float) -> None:
        for name in self.service_hosts:
            answers = self._answers(name)
            if answers and not self._was_answering.get(name, True):
                self._back_at[name] = now
            self._was_answering[name] = answers

    def _held_by_two(self, gained: frozenset[str], now: float) -> str | None:
        holding = [name for name in self.service_hosts if name in self._held and self._answers(name)]
        new = gained & set(holding)
        if len(holding) < 2:
            return None
        for name in set(holding) - new:
            back = now - self._back_at.get(name, 0.0)
            if new and back > CLAIM_SECONDS:
                return f"{min(new)} got the address while {name} had answered for it for {back:.1f} s"
        if any(now - self._back_at.get(name, float("-inf")) <= RETURNING_SECONDS for name in holding):
            return None
        return f"{' and '.join(holding)} answer for the address"

    def _healthy_taken(self, lost: frozenset[str], now: float) -> str | None:
        found = None
        for name in lost:
            since = self._well_since.get(name)
            if since is not None and now - since >= HEALTHY_SECONDS and self.world.hosts[name].up:
                found = f"the address was taken from {name}, which had been well for {now - since:.1f} s"
        for name in self.service_hosts:
            host = self.world.hosts[name]
            well = self._answers(name) and host.has_address and host.service == "well" and not host.loses
            if not well:
                self._well_since.pop(name, None)
            else:
                self._well_since.setdefault(name, now)
        return found

    def _epoch_shrank(self) -> str | None:
        for name, host in self.world.hosts.items():
            if host.epoch < self._epochs.get(name, 0):
                return f"the epoch of {name} went from {self._epochs[name]} to {host.epoch}"
            self._epochs[name] = host.epoch
        return None

    def _left_down(self, now: float) -> str | None:
        hosts = self.world.hosts
        served = any(
            self._answers(name) and hosts[name].has_address and hosts[name].service == "well"
            for name in self.service_hosts
        )
        could = self.world.is_linked(self.world.home) and all(
            self._answers(name) and not hosts[name].start_fails and not hosts[name].loses
            for name in self.service_hosts
        )
        if served or not could:
            self._unserved_since = None
        elif self._unserved_since is None:
            self._unserved_since = now
        elif now - self._unserved_since > LEFT_DOWN_SECONDS:
            return f"the service has not been served for {now - self._unserved_since:.0f} s, and every host could"
        return None

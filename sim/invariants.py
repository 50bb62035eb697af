"""What must hold after every event, whatever happens: the contract of docs/trust.md.

1. No address is held by two hosts that clients reach, except where trust.md admits it: the other host has come back
   a moment ago; no vantage point could see it (`when_unreachable: takeover`, or all that could ask were on the
   wrong side); loss or delay hid all of it; its fence device lied; a hypervisor stopped a clock.
2. No holder that serves its clients is released, stopped, respawned or switched off, unless a person moves it, and
   nothing at all is ordered while the service is paused.
3. Nothing is done out of what was not checked: an address is given only after a question about it, moments ago.
4. Epochs only grow.
5. An alert that was answered with 202 is in the journal, whatever happens then.
6. A service that is down is acted upon: where it could be served it is, and else an open incident says why not.
7. Two holders, however they came about, are one again as soon as both can be asked.
8. A service that is starting is left alone until its time limit; an incident that ends well ends with a proof.
9. No worker ends, hangs or spins.
10. At the end, without faults, exactly one host has the address and serves, and no other runs the service.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from locum_actuator.domain.reach import NOT_PROVEN
from locum_actuator.engine.engine import Engine
from sim.actuator import Actuator
from sim.evidence import NEVER, Evidence
from sim.orders import Orders
from sim.profiles import Profile
from sim.timers import Timers
from sim.world import World

# The evidence behind a claim may be so old (steps/plan_evidence.py), and its verb takes a moment.
CLAIM_SECONDS = 2.5
# After a confirmed release the question may be three seconds old, over a gate one more.
CLAIM_CHECKED_SECONDS = 5.0
LIED_SECONDS = 60.0  # after a fence device has lied its host counts as off for so long
SITUATIONS_A_SECOND = 30
UNREACHED_SECONDS = 4.0  # a check that began before may still count
ENDS_WELL = frozenset({"nothing", "takeover", "claim", "respawn"})


@dataclass(slots=True)
class Invariants:
    """Checks the world after every change."""

    world: World
    profile: Profile
    actuator: Actuator
    broken: str | None = None  # the first violation, in words
    evidence: Evidence = field(init=False)
    timers: Timers = field(init=False)
    orders: Orders = field(init=False)
    _held: frozenset[str] = frozenset()  # by whom, whether or not clients reach them
    _epochs: dict[tuple[str, int], int] = field(default_factory=dict)
    _engine: Engine | None = None  # the one whose journal was checked
    _situations: tuple[float, int] = (0.0, 0)

    def __post_init__(self) -> None:
        """Begin with the world as it is."""
        self.evidence = Evidence(self.world, self.profile)
        self.timers = Timers(self.world, self.profile, self.actuator, self.evidence)
        self.orders = Orders(self.world, self.actuator, self.evidence)
        self._held = self._holding()
        self.evidence.note()

    def _holding(self) -> frozenset[str]:
        return frozenset(name for name, host in self.world.hosts.items() if host.has_address)

    def check(self) -> None:
        """Check what any event may break; keep the first violation."""
        if self.broken is not None:
            return
        held = self._holding()
        gained, self._held = held - self._held, held
        self.timers.note()
        self.broken = self._held_by_two(gained) or self._given_unchecked(gained) or self._host_epoch_shrank()
        self.evidence.note()

    def ordered(self, verb: str, host: str) -> None:
        """Check an order of the actuator at the moment at which it is sent."""
        if self.broken is None:
            self.broken = self.orders.broken_by(verb, host)

    def closed(self, outcome: str, reason: str) -> None:
        """Check that an incident which ends with the service well ends with a proof."""
        if self.broken is not None or outcome not in ENDS_WELL or NOT_PROVEN in reason:
            return
        for name in self._held:
            if (seconds := self.evidence.unreached_for(name)) > UNREACHED_SECONDS:
                self.broken = (
                    f"an incident ended with '{outcome}', and {name} had not been reached through the address for "
                    f"{seconds:.1f} s"
                )

    def check_in_time(self) -> None:
        """Check what no event shows: to be called every second."""
        self.check()
        if self.broken is None:
            self.broken = (
                self.timers.broken() or self._spins() or self._worker_is_gone() or self._journal_lost()
            )

    # -- 1, 3: what is given ---------------------------------------------------------------------------------------

    def _held_by_two(self, gained: frozenset[str]) -> str | None:
        """Return which host was given the address although another one that could be seen had it."""
        now = self.world.now
        reached = [name for name in self._held if self._is_reached(name)]
        for new in gained & set(reached):
            if self.world.claims_at.get(new) != now or self.evidence.clock_stood_still(new):
                continue  # not by an order: it has booted with it
            for old in sorted(set(reached) - gained):
                if (why := self._not_admitted(old)) is not None:
                    return f"{new} got the address while {old} had it {why}"
        return None

    def _is_reached(self, name: str) -> bool:
        host = self.world.hosts[name]
        return host.is_heard and not host.cut

    def _not_admitted(self, old: str) -> str | None:
        """Return why it is not admitted that another host gets the address of this one; None if it is."""
        now, evidence = self.world.now, self.evidence
        if (seen := evidence.seen_for(old)) > CLAIM_SECONDS:
            return f"and could be seen for {seen:.1f} s"
        if old in evidence.seen_since or now - evidence.back_at.get(old, NEVER) <= CLAIM_SECONDS:
            return None  # it has come back just now
        if now - evidence.hidden_at.get(old, NEVER) <= CLAIM_SECONDS:
            return None  # loss or delay that hides everything
        if now - self.world.lied_about_at.get(old, NEVER) <= LIED_SECONDS:
            return None
        if self.profile.when_unreachable == "takeover":
            return None
        if not self.profile.fenced and now - evidence.silent_to_a_point_at.get(old, NEVER) <= CLAIM_SECONDS:
            return None  # a third host that is on the wrong side
        return "behind a line that was cut, and no other vantage point had asked it"

    def _given_unchecked(self, gained: frozenset[str]) -> str | None:
        for name in gained:
            if self.world.claims_at.get(name) != self.world.now or self.evidence.clock_stood_still(name):
                continue
            age = self.world.now - self.world.asked_who_has_it_at
            if self.world.not_confirmed_at > self.world.asked_who_has_it_at:
                return f"{name} got the address, and the wire had just been asked in vain"
            if age > CLAIM_CHECKED_SECONDS:
                return f"{name} got the address, and the wire had been asked {age:.1f} s before"
        return None

    # -- 4: epochs -------------------------------------------------------------------------------------------------

    def _host_epoch_shrank(self) -> str | None:
        return next(
            (
                found
                for name, host in self.world.hosts.items()
                if (found := self._shrank(name, host.epoch)) is not None
            ),
            None,
        )

    def _journal_lost(self) -> str | None:
        """Return what the journal of a process that has begun since the last check has lost."""
        engine = self.actuator.engine
        if engine is None or engine is self._engine:
            return None
        self._engine = engine
        return self._journal_epoch_shrank() or self._lost_alerts()

    def _journal_epoch_shrank(self) -> str | None:
        service = self.actuator.service
        epoch = self.actuator.ask(lambda engine: engine.journal.holder(service).epoch)
        return None if epoch is None else self._shrank("the journal", epoch, self.actuator.restores)

    def _shrank(self, where: str, epoch: int, copy: int = 0) -> str | None:
        """Compare an epoch with the last one of the same place; an older copy of the journal is another place."""
        before, self._epochs[where, copy] = self._epochs.get((where, copy), 0), epoch
        return f"the epoch of {where} went from {before} to {epoch}" if epoch < before else None

    # -- 5: alerts -------------------------------------------------------------------------------------------------

    def _lost_alerts(self) -> str | None:
        """Return the alerts that were answered with 202 and are not in the journal; None if there are none."""
        accepted = set(self.actuator.accepted)
        rows = self.actuator.ask(lambda engine: engine.journal._read("SELECT starts_at FROM alerts"))
        lost = set() if rows is None else accepted - {row["starts_at"] for row in rows}
        return f"answered with 202 and lost: {', '.join(sorted(lost))}" if lost else None

    # -- 9: workers ------------------------------------------------------------------------------------------------

    def _spins(self) -> str | None:
        (at, before), now = self._situations, self.world.now
        self._situations = now, self.world.situations
        count = self.world.situations - before
        if count > SITUATIONS_A_SECOND * max(1.0, now - at):
            return f"{count} complete checks within {now - at:.0f} s"
        return None

    def _worker_is_gone(self) -> str | None:
        engine = self.actuator.engine
        if self.world.uncaught:
            return f"a thread ended: {self.world.uncaught[0]}"
        if engine is None or self.world.now - self.actuator.up_since < 1.0:
            return None
        return engine.hung_workers()

    # -- 10: the end -----------------------------------------------------------------------------------------------

    def end_state(self) -> str | None:
        """Return what is wrong after a while without a fault."""
        hosts = self.world.hosts
        holding = sorted(self._holding())
        if len(holding) != 1:
            return f"at the end {' and '.join(holding) or 'no host'} has the address"
        if not hosts[holding[0]].serves:
            return f"at the end {holding[0]} has the address and does not serve"
        others = [name for name, host in hosts.items() if host.processes and name not in holding]
        if others:
            return f"at the end {' and '.join(others)} runs the service, and {holding[0]} holds it"
        service = self.actuator.service
        known = self.actuator.ask(
            lambda engine: (engine.journal.open_incidents(), engine.journal.holder(service).host)
        )
        if known is None:
            return "at the end the actuator does not run"
        if known[0]:
            return "at the end an incident is open"
        if known[1] != holding[0]:
            return f"at the end the journal does not name {holding[0]}"
        return self._journal_epoch_shrank() or self._lost_alerts()

"""The checks of the actuator and of the other vantage points, in the simulated world.

Each question takes the time that it takes, and a host is asked at the moment at which the packet arrives there. So
what a situation consists of was seen at different moments, as on a real network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from locum_actuator.decision.fitness import why_drifted, why_unfit
from locum_actuator.domain.life import NO_LIFE, Life
from locum_actuator.domain.ports import Confirmed
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView, Situation
from locum_actuator.observation import life_signs
from locum_actuator.observation.gate_reports import GATE_SECONDS
from locum_actuator.observation.last_check import (
    LAST_QUESTION_SECONDS,
    LAST_QUESTION_TO_THE_SILENT_SECONDS,
)
from locum_actuator.observation.pings import ROUND_TRIPS
from locum_actuator.observation.prompt_gate import PROMPT_CALLS, PROMPT_SECONDS
from locum_actuator.system import runtime
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import GateError, GateStatus
from locum_inventory.site.model import Site
from sim.checks import CHECK_SECONDS, Checks
from sim.gate import SimulatedGates
from sim.pings import Pings
from sim.wire import STRANGER_MAC
from sim.world import World

T = TypeVar("T")
OWNERS_SECONDS = 0.1
LATE_PAUSE_SECONDS = 0.05  # between two checks for a late echo

Owners = tuple[frozenset[str], frozenset[str]]


@dataclass(slots=True)
class SimulatedObserver:
    """What one actuator's process sees of the world."""

    world: World
    site: Site
    gates: SimulatedGates
    checks: Checks = field(init=False)
    pings: Pings = field(init=False)
    _known_macs: set[str] = field(default_factory=set)  # that a gate has reported
    _gate_answered_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Ask from the actuator's host."""
        self.checks, self.pings = Checks(self.world), Pings(self.world)

    def close(self) -> None:
        """Do nothing: there is no socket."""

    @property
    def _home(self) -> str:
        return self.world.home

    def _together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Ask several questions at the same time."""
        with runtime.pool(len(calls), name="ask") as pool:
            futures: list[Future[T]] = [pool.submit(call) for call in calls]
            return [runtime.result(future) for future in futures]

    def _others(self, host: str | None = None) -> list[str]:
        """Return the vantage points other than this one; those that may judge a host if it is given."""
        points = self.site.vantage_points if host is None else self.site.voters(host)
        return [name for name in points if name != self._home]

    # -- the whole situation -------------------------------------------------------------------------------------

    def situation(self, service: str) -> Situation:
        """Run all checks of the service at the same time."""
        self.world.situations += 1
        self.world.operation()
        asked_at, values = runtime.since_boot(), self.site.services[service]
        with runtime.pool(len(values.hosts) + 2, name="situation") as pool:
            views = [pool.submit(self._view, service, name) for name in values.hosts]
            owners, reach = pool.submit(self._owners), pool.submit(self.reach, service)
            seen = [runtime.result(view) for view in views]
            found = self._settled(runtime.result(owners))
        on_the_wire, strangers = found or (frozenset(), frozenset())
        return Situation(
            service=service,
            hosts={view.name: view for view in seen},
            holders=frozenset(view.name for view in seen if view.holds) | on_the_wire,
            strangers=strangers,
            address_looked=found is not None,
            witnesses={str(one): self.world.wire.witness_answers(self._home) for one in self.site.witnesses},
            taken_at=runtime.wall_time(),
            asked_at=asked_at,
            reach=runtime.result(reach),
        )

    def _view(self, service: str, name: str) -> HostView:
        values, begun = self.site.services[service], runtime.monotonic()
        with runtime.pool(3 + len(self.site.vantage_points), name="view") as pool:
            gate = pool.submit(self._ask_gate, name, GATE_SECONDS)
            here = pool.submit(self.checks.of_host, self._home, name)
            elsewhere = {
                point: pool.submit(self.checks.elsewhere, point, name) for point in self._others(name)
            }
            hurry = runtime.event()
            burst = pool.submit(self.pings.burst, name, hurry)
            answer = runtime.result(gate)
            own, others = runtime.result(here), [runtime.result(look) for look in elsewhere.values()]
            hurry.set()
            sent, received, fastest = runtime.result(burst)
        echoes = {point: self.checks.hears(point, name) for point in elsewhere}
        heard = self.pings.heard_since(name, begun)
        status = answer.services[service] if isinstance(answer, GateStatus) else None
        prompt = False
        if status is not None and received < sent:
            prompt, own = self._checked_with_its_gate(name, own)
        patience = CHECK_SECONDS if status else GATE_SECONDS
        fenced = bool(self.site.hosts[name].fence) and name != self._home
        return HostView(
            name=name,
            echoes_sent=sent,
            echoes_received=received,
            gate_fault=None if status is not None else str(answer),
            gate_asked=not isinstance(answer, GateError) or answer.asked,
            life=NO_LIFE if status else self._life_of(name, received),
            holds=frozenset(a for a, held in status.held.items() if held) if status else None,
            processes=status.processes if status else None,
            age_seconds=status.age_seconds if status else None,
            underway=status.underway if status else None,
            epoch=status.epoch if status else 0,
            unfit=why_unfit(service, values, name, answer) if isinstance(answer, GateStatus) else None,
            drift=why_drifted(service, values, name, status) if status else None,
            looks=(own, *others),
            fenceable=fenced,
            pinged_by=tuple(point for point, heard in echoes.items() if heard),
            silent_to=tuple(point for point, heard in echoes.items() if heard is False),
            silent_since=None if heard else begun,
            slow=heard if not received else ROUND_TRIPS * fastest > patience,
            gate_prompt=prompt,
        )

    def _ask_gate(self, name: str, seconds: float) -> GateStatus | GateError:
        if self.world.is_late():
            runtime.sleep(seconds)
            return GateError.busy("this host was too busy to check")
        try:
            status = self.gates[name].status(deadline_seconds=seconds)
        except GateError as error:
            return error
        self._gate_answered_at[name] = runtime.monotonic()
        self._known_macs |= status.macs
        return status

    def _checked_with_its_gate(self, name: str, own: CheckOutcome) -> tuple[bool, CheckOutcome]:
        """Call the gate many times; a service that did not answer is checked once more meanwhile."""
        wire, there = self.world.wire, self.world.hosts[name]

        def is_prompt() -> bool:
            late = wire.round_trip(self._home, name) * 2 > PROMPT_SECONDS or there.gate_gone
            return not late and all(wire.reaches(self._home, name) for _ in range(PROMPT_CALLS))

        before, again = is_prompt(), own
        if before and own.outcome is not Outcome.WELL:
            again = self.checks.of_host(self._home, name)
        prompt = before and is_prompt() and there.runs
        return prompt, again if prompt else own

    def _life_of(self, name: str, received: int) -> Life:
        at = self._gate_answered_at.get(name)
        seconds = None if at is None or not received else runtime.monotonic() - at
        if seconds is None or seconds >= life_signs.GATE_SECONDS:
            return NO_LIFE
        return Life(f"its gate answered {seconds:.1f} s ago")

    # -- who has the address -------------------------------------------------------------------------------------

    def _owners(self) -> Owners | None:
        """Ask the wire who has the address; None if not even the witness answers, so that silence shows nothing."""
        self.world.operation()
        asked_at = self.world.now
        runtime.sleep(OWNERS_SECONDS)
        if self.world.is_late():
            return None
        answering = frozenset(self.world.answering(self._home))
        witnessed = self.world.wire.witness_answers(self._home)
        if not answering and not witnessed:
            return None
        self.world.asked_who_has_it_at = asked_at
        macs = frozenset(self.world.hosts[name].macs[-1] for name in answering if name != self._home)
        return answering, macs | ({STRANGER_MAC} if self.world.wire.stranger and witnessed else frozenset())

    def _settled(self, found: Owners | None) -> Owners | None:
        """Return the hosts that have the address, and the MAC addresses that belong to no known host."""
        if found is None:
            return None
        hosts, macs = found
        known = frozenset(
            name
            for name in hosts
            if name == self._home
            or self.world.hosts[name].macs[-1] in self._known_macs | {self.world.hosts[name].macs[0]}
        )
        strangers = macs - {self.world.hosts[name].macs[-1] for name in known}
        return known, strangers

    # -- what steps ask ------------------------------------------------------------------------------------------

    def service_on(self, service: str, host: str) -> CheckOutcome:
        """Run the check on a host, from here."""
        return self.checks.of_host(self._home, host)

    def reach(self, service: str) -> Reach | None:
        """Run the check through the address, from everywhere."""
        points = [self._home, *self._others()]
        looks = self._together([partial(self.checks.through_from, point) for point in points])
        if self.world.hosts[self._home].has_address:
            return Reach(tuple(looks[1:]), looks[0])
        return Reach(tuple(looks))

    def witness_answers(self, source: str | None = None) -> bool:
        """Ping the witness."""
        self.world.operation()
        runtime.sleep(self.world.wire.round_trip(self._home, self._home))
        return self.world.wire.witness_answers(self._home)

    def echoes(self, host: str) -> int | None:
        """Ping a host."""
        return self.pings.burst(host)[1]

    def late_echo(self, host: str, since: float, seconds: float) -> bool:
        """Return whether an echo of a host has arrived since a moment, waiting for it."""
        end = runtime.monotonic() + seconds
        while not self.pings.heard_since(host, since):
            if runtime.monotonic() >= end:
                return False
            runtime.sleep(LATE_PAUSE_SECONDS)
        return True

    def life(self, service: str, host: str, *, pinged: bool) -> Life:
        """Check a host once more before it is switched off."""
        seconds = LAST_QUESTION_SECONDS if pinged else LAST_QUESTION_TO_THE_SILENT_SECONDS
        with runtime.pool(2, name="life") as pool:
            gate = pool.submit(self._ask_gate, host, seconds)
            look = pool.submit(self.checks.of_host, self._home, host)
            answer, seen = runtime.result(gate), runtime.result(look)
        services = (service,) if seen.outcome is Outcome.WELL else ()
        if isinstance(answer, GateError):
            return Life(None, services, None if answer.asked else str(answer))
        return Life("its gate answers", services)

    def confirm(self, service: str, silent: str | None = None) -> Confirmed:
        """Ask the witness, who has the address, and who hears a silent host."""
        owners = self._settled(self._owners())
        if owners is None:
            self.world.not_confirmed_at = self.world.now
        others = [] if silent is None else self._others(silent)
        heard = {} if silent is None else {point: self.checks.hears(point, silent) for point in others}
        return Confirmed(
            self.witness_answers(),
            owners,
            tuple(point for point, hears in heard.items() if hears),
            tuple(point for point, hears in heard.items() if hears is False),
        )

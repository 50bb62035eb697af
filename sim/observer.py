"""The checks of the actuator and of the other vantage points, in the simulated world.

Each question takes the time that it takes, and a host is asked at the moment at which the packet arrives there. So
what a situation consists of was seen at different moments, as on a real network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from locum_actuator.decision.fitness import why_drifted, why_unfit
from locum_actuator.domain.life import NO_LIFE, Life
from locum_actuator.domain.ports import Confirmed
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView, Situation
from locum_actuator.system import runtime
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import GateError, GateStatus
from locum_inventory.site.model import Site
from sim.gate import SimulatedGates
from sim.world import ROUND_TRIP_SECONDS, World

T = TypeVar("T")
CHECK_SECONDS = 0.35
GATE_SECONDS = 0.4
ECHOES_FEW, ECHOES_MANY = 5, 20
ECHO_SPACING_SECONDS = 0.02
ECHO_WAIT_SECONDS = 0.1


@dataclass(slots=True)
class SimulatedObserver:
    """What the actuator sees of the world."""

    world: World
    site: Site
    gates: SimulatedGates
    situations: int = 0

    def close(self) -> None:
        """Do nothing: there is no socket."""

    # -- questions ---------------------------------------------------------------------------------------------

    def _together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Ask several questions at the same time."""
        with runtime.pool(len(calls), name="ask") as pool:
            futures: list[Future[T]] = [pool.submit(call) for call in calls]
            return [runtime.result(future) for future in futures]

    def _check(self, source: str, host: str) -> CheckOutcome:
        """Run the service's check on a host's own address, from a vantage point."""
        self.world.operation()
        there, begun = self.world.hosts[host], runtime.monotonic()
        while runtime.monotonic() - begun < CHECK_SECONDS:
            if self.world.reaches_repeated(source, host):
                if there.service == "well":
                    runtime.sleep(ROUND_TRIP_SECONDS)
                    return CheckOutcome(source, Outcome.WELL, "answered 200")
                if there.service == "stopped":
                    return CheckOutcome(source, Outcome.FAILED, "connection refused", "refused")
            runtime.sleep(CHECK_SECONDS / 3)
        return CheckOutcome(source, Outcome.FAILED, "no answer within 350 ms", "timeout")

    def _through(self, source: str) -> CheckOutcome:
        """Run the check through the service address, from a vantage point that does not hold it."""
        for name in self.world.answering(source):
            found = self._check(source, name)
            if found.outcome is Outcome.WELL:
                return found
        return CheckOutcome(source, Outcome.FAILED, "no answer through the address", "timeout")

    def _through_from(self, point: str, *, holds: bool) -> CheckOutcome:
        """Run the check through the address from a vantage point, unless it holds it itself."""
        if holds:
            return CheckOutcome(point, Outcome.NOT_LOOKED, "it holds the address", "unasked")
        return (
            self._through(point)
            if point == self.world.home
            else self._ask(point, partial(self._through, point))
        )

    def _ask(self, point: str, question: Callable[[], CheckOutcome]) -> CheckOutcome:
        """Have another vantage point's exporter run a check."""
        if not self.world.reaches_repeated(self.world.home, point):
            runtime.sleep(CHECK_SECONDS)
            return CheckOutcome(point, Outcome.NOT_LOOKED, "its exporter does not answer", "unasked")
        return question()

    def _others(self) -> list[str]:
        return [name for name in self.site.vantage_points if name != self.world.home]

    def _burst(self, host: str) -> tuple[int, int]:
        """Ping a host; return how many echoes were sent and how many came back."""
        received = sent = 0
        while sent < (ECHOES_FEW if received == sent and sent else ECHOES_MANY):
            sent += 1
            received += self.world.reaches(self.world.home, host)
            runtime.sleep(ECHO_SPACING_SECONDS)
        if not received:
            runtime.sleep(ECHO_WAIT_SECONDS)
        return sent, received

    # -- what incidents and steps ask ----------------------------------------------------------------------------

    def situation(self, service: str) -> Situation:
        """Run all checks of the service at the same time."""
        self.situations += 1
        asked_at, values = runtime.since_boot(), self.site.services[service]
        views = self._together([partial(self._view, service, name) for name in values.hosts])
        owners = frozenset(name for name in self.world.answering(self.world.home))
        holders = {view.name for view in views if view.holds}
        return Situation(
            service=service,
            hosts={view.name: view for view in views},
            holders=frozenset(holders) | owners,
            strangers=frozenset(),
            address_looked=True,
            witnesses={str(one): self.world.is_linked(self.world.home) for one in self.site.witnesses},
            taken_at=runtime.wall_time(),
            asked_at=asked_at,
            reach=self.reach(service),
        )

    def _view(self, service: str, name: str) -> HostView:
        values, begun = self.site.services[service], runtime.monotonic()

        def ask_gate() -> GateStatus | GateError:
            try:
                return self.gates[name].status(deadline_seconds=GATE_SECONDS)
            except GateError as error:
                return error

        with runtime.pool(3 + len(self._others()), name="ask") as pool:
            gate = pool.submit(ask_gate)
            here = pool.submit(self._check, self.world.home, name)
            burst = pool.submit(self._burst, name)
            others = [point for point in self.site.voters(name) if point != self.world.home]
            elsewhere = [pool.submit(self._ask, point, partial(self._check, point, name)) for point in others]
            answer = runtime.result(gate)
            sent, received = runtime.result(burst)
            looks = (runtime.result(here), *(runtime.result(look) for look in elsewhere))
        echoes = {point: self._hears(point, name) for point in others}
        status = answer.services[service] if isinstance(answer, GateStatus) else None
        return HostView(
            name=name,
            echoes_sent=sent,
            echoes_received=received,
            gate_fault=None if status is not None else str(answer),
            holds=frozenset(a for a, held in status.held.items() if held) if status else None,
            processes=status.processes if status else None,
            age_seconds=status.age_seconds if status else None,
            underway=status.underway if status else None,
            epoch=status.epoch if status else 0,
            unfit=why_unfit(service, values, name, answer) if isinstance(answer, GateStatus) else None,
            drift=why_drifted(service, values, name, status) if status else None,
            looks=looks,
            fenceable=False,
            pinged_by=tuple(point for point, heard in echoes.items() if heard),
            silent_to=tuple(point for point, heard in echoes.items() if heard is False),
            silent_since=None if received else begun,
        )

    def _hears(self, point: str, host: str) -> bool | None:
        """Ask another vantage point whether it gets a host's echo; None if it could not be asked."""
        if not self.world.reaches_repeated(self.world.home, point):
            return None
        return self.world.reaches_repeated(point, host)

    def service_on(self, service: str, host: str) -> CheckOutcome:
        """Run the check on a host, from here."""
        return self._check(self.world.home, host)

    def reach(self, service: str) -> Reach | None:
        """Run the check through the address, from everywhere."""
        points = [self.world.home, *self._others()]
        looks = self._together(
            [
                partial(self._through_from, point, holds=self.world.hosts[point].has_address)
                for point in points
            ]
        )
        return Reach(tuple(looks))

    def witness_answers(self, source: str | None = None) -> bool:
        """Ping the witness."""
        self.world.operation()
        runtime.sleep(ROUND_TRIP_SECONDS)
        return self.world.is_linked(self.world.home)

    def echoes(self, host: str) -> int | None:
        """Ping a host."""
        return self._burst(host)[1]

    def late_echo(self, host: str, since: float, seconds: float) -> bool:
        """Return False: no echo is late here."""
        runtime.sleep(seconds)
        return False

    def life(self, service: str, host: str, *, pinged: bool) -> Life:
        """Return no sign of life: no host can be switched off here."""
        return NO_LIFE

    def confirm(self, service: str, silent: str | None = None) -> Confirmed:
        """Ask the witness, who has the address, and who hears a silent host."""
        self.world.operation()
        runtime.sleep(ECHO_WAIT_SECONDS)
        owners = frozenset(self.world.answering(self.world.home))
        heard = {point: self._hears(point, silent) for point in self._others()} if silent is not None else {}
        return Confirmed(
            self.witness_answers(),
            (owners, frozenset()),
            tuple(point for point, hears in heard.items() if hears),
            tuple(point for point, hears in heard.items() if hears is False),
        )

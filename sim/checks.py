"""The service's check, as it is run by the exporters and by the actuator: well, failed, or not made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.observation.service_check import ONCE_MORE_SECONDS
from locum_actuator.system import runtime
from locum_exporter.result import Outcome
from sim.world import World

CHECK_SECONDS = 0.35  # what `look_seconds` gives a service at the interval of the profiles


@dataclass(slots=True)
class Checks:
    """The check from any vantage point."""

    world: World

    def of_host(self, point: str, host: str, *, through: bool = False) -> CheckOutcome:
        """Run the check on a host, on its own address or through the service address."""
        if point == self.world.home:
            self.world.operation()
            if self.world.is_late():
                runtime.sleep(CHECK_SECONDS)
                return CheckOutcome(point, Outcome.NOT_LOOKED, "this host was too busy to check", "busy")
        wire, there = self.world.wire, self.world.hosts[host]
        seconds = 2 * wire.round_trip(point, host)  # the connection, and the request
        for pause in (ONCE_MORE_SECONDS, CHECK_SECONDS - ONCE_MORE_SECONDS):
            dropped = there.check_dropped or (through and there.through_dropped)
            if seconds < CHECK_SECONDS and not dropped and wire.reaches(point, host):
                if there.service == "stopped" and there.is_heard:
                    return CheckOutcome(point, Outcome.FAILED, "connection refused", "refused")
                if there.service in {"well", "wrong"} and there.runs and wire.reaches(point, host):
                    runtime.sleep(seconds)
                    return self._answer(point, there.service)
            runtime.sleep(pause)
        return CheckOutcome(point, Outcome.FAILED, "no answer within 350 ms", "timeout")

    def _answer(self, point: str, service: str) -> CheckOutcome:
        if service == "well":
            return CheckOutcome(point, Outcome.WELL, "answered 200")
        return CheckOutcome(point, Outcome.FAILED, "answered 500", "status")

    def through(self, point: str) -> CheckOutcome:
        """Run the check through the service address."""
        for name in self.world.answering(point):
            return self.of_host(point, name, through=True)
        runtime.sleep(CHECK_SECONDS)
        return CheckOutcome(point, Outcome.FAILED, "no answer through the address", "timeout")

    def through_from(self, point: str) -> CheckOutcome:
        """Run the check through the service address from a vantage point that may hold it itself."""
        if point == self.world.home:
            return self.through(point)
        if self.world.hosts[point].has_address:
            return CheckOutcome(point, Outcome.NOT_LOOKED, "it holds the address", "unasked")
        return self._ask(point, partial(self.through, point))

    def elsewhere(self, point: str, host: str) -> CheckOutcome:
        """Have another vantage point's exporter run the check on a host."""
        return self._ask(point, partial(self.of_host, point, host))

    def _ask(self, point: str, question: Callable[[], CheckOutcome]) -> CheckOutcome:
        if not self._can_ask(point):
            runtime.sleep(CHECK_SECONDS)
            return CheckOutcome(point, Outcome.NOT_LOOKED, "its exporter does not answer", "exporter")
        return question()

    def _can_ask(self, point: str) -> bool:
        host = self.world.hosts[point]
        return (
            host.runs
            and host.exporter in {"well", "no_rights"}
            and self.world.wire.reaches_repeated(self.world.home, point)
        )

    def hears(self, point: str, host: str) -> bool | None:
        """Ask another vantage point whether it gets a host's echo; None if it could not be asked or not ping."""
        if not self._can_ask(point) or self.world.hosts[point].exporter == "no_rights":
            return None
        return self.world.wire.reaches_repeated(point, host)

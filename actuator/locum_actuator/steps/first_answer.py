"""Wait for the first answer of a service that was just started or respawned on a host."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain.situation import CheckOutcome, is_wrong
from locum_actuator.steps.base import StepContext, StepError
from locum_actuator.system import runtime
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import GateError, ServiceStatus

STATUS_EVERY_SECONDS = 2.0  # between two checks that its process still exists
SAY_EVERY_SECONDS = 10.0  # between two progress messages
STATUS_SECONDS = 1.0
SILENT_TIMES = 3  # in a row; then the wait ends, and the host is checked in full
SAME_ANSWER_SECONDS = 5.0  # a service may answer wrongly for this long while it warms up


class SameAnswerError(StepError):
    """Raised if a service that was started to replace one that answers wrongly does the same."""


class StillStartingError(StepError):
    """Raised if a started service has a process, but has not answered within its time."""


@dataclass(slots=True)
class FirstAnswer:
    """The wait for one service on one host; it begins with the construction of this object."""

    context: StepContext
    host: str
    verb: str  # what is under way, such as "started"
    timeout_seconds: float
    _began_at: float = 0.0
    _status: ServiceStatus | None = None  # the gate's last answer; None: it did not answer
    _silent: int = 0  # unanswered status queries in a row

    def __post_init__(self) -> None:
        self._began_at = runtime.monotonic()
        self.context.starts.began(self.host)

    def wait(self, least_seconds: float) -> CheckOutcome:
        """Wait until the service answers. Raises `StepError`, at once if its process has exited.

        The service has the rest of its timeout, but at least `least_seconds`.
        """
        context, now = self.context, runtime.monotonic()
        end = max(self._began_at + self.timeout_seconds, now + least_seconds)
        wrong_since: float | None = None
        say_at, status_at, pause_seconds = now + SAY_EVERY_SECONDS, now + STATUS_EVERY_SECONDS, 0.02
        while (seen := context.observer.service_on(context.name, self.host)).outcome is not Outcome.WELL:
            now = runtime.monotonic()
            wrong_since = (wrong_since or now) if is_wrong(seen) else None
            if context.wrong_answer and wrong_since is not None and now - wrong_since >= SAME_ANSWER_SECONDS:
                raise SameAnswerError(
                    f"{self.verb} on {self.host}, where it answers wrongly too: {seen.text}"
                )
            if now >= status_at or now >= end:
                status_at = now + STATUS_EVERY_SECONDS
                self._ask()
                if self._silent >= SILENT_TIMES:
                    # The host may have died meanwhile: a fresh observation decides.
                    raise StepError(
                        f"{self.verb} on {self.host}, and its gate no longer answers: {seen.text}"
                    )
                if self.has_gone():
                    context.starts.ended(self.host)
                    raise StepError(
                        f"{self.verb} on {self.host}, and its process has exited again: {seen.text}"
                    )
            if now >= end:
                raise StillStartingError(
                    f"{self.verb} on {self.host}, but did not answer within {self.timeout_seconds:g} s: {seen.text}"
                )
            if now >= say_at:
                say_at = now + SAY_EVERY_SECONDS
                context.say(
                    f"{context.name} is starting on {self.host}: no answer after {now - self._began_at:.0f} s of"
                    f" {self.timeout_seconds:g} s ({seen.text})"
                )
            runtime.sleep(min(pause_seconds, max(end - now, 0.0)))
            # The pause grows, so that a service that takes long to start is not checked fifty times a second.
            pause_seconds = min(pause_seconds * 1.3, 0.5)
        context.starts.served(self.host)
        return seen

    def failed(self, fault: GateError) -> StepError:
        """Return the error for a gate's refusal or silence; a service whose process exists may still answer."""
        text = f"{self.context.name} could not be {self.verb} on {self.host}: {fault}"
        if fault.reason in {"failed", "timeout", "closed"} and self._is_there():
            return StillStartingError(text)
        self.context.starts.ended(self.host)
        return StepError(text, tried=fault.asked)

    def has_gone(self) -> bool:
        """Return whether the gate reports that the service has no process and none is being started."""
        status = self._status
        return status is not None and status.processes == 0 and status.underway is None

    def _is_there(self) -> bool:
        self._ask()
        status = self._status
        return status is not None and (bool(status.processes) or status.underway in {"start", "respawn"})

    def _ask(self) -> None:
        """Ask the gate for the service's state; without an answer it is not known."""
        try:
            gate = self.context.gates[self.host].status(deadline_seconds=STATUS_SECONDS)
        except GateError as fault:
            # A cause on this host shows nothing about the other one.
            self._status, self._silent = None, self._silent + fault.asked
            return
        self._status, self._silent = gate.services.get(self.context.name), 0

"""Wait for the first answer of a service that was just started or respawned on a host."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain.situation import CheckOutcome, is_wrong
from locum_actuator.steps.base import StepContext, StepError
from locum_actuator.system import runtime
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import GateError, ServiceStatus

STATUS_EVERY_SECONDS = 2.0  # between two looks whether its process is still there
SAY_EVERY_SECONDS = 10.0  # between two lines of progress
STATUS_SECONDS = 1.0
SILENT_TIMES = 3  # in a row: then the host is looked at in full, rather than waited for
SAME_ANSWER_SECONDS = 5.0  # a service may answer wrongly for so long while it warms up


class SameAnswerError(StepError):
    """The service was started in place of one that answers wrongly, and answers wrongly too."""


class StillStartingError(StepError):
    """The service was started and its process is there, and it has not answered within its time."""


@dataclass(slots=True)
class FirstAnswer:
    """The wait for one service on one host; it begins when this is made."""

    context: StepContext
    host: str
    verb: str  # what is under way, such as "started"
    timeout_seconds: float
    _began_at: float = 0.0
    _status: ServiceStatus | None = None  # as the gate said last; None: it said nothing
    _silent: int = 0  # how often in a row

    def __post_init__(self) -> None:
        self._began_at = runtime.monotonic()
        self.context.starts.began(self.host)

    def wait(self, least_seconds: float) -> CheckOutcome:
        """Look until the service answers; raises `StepError`, at once where its process has gone.

        It may take what is left of its time, and `least_seconds` in any case.
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
                    # The host may have died meanwhile: a fresh look at everything decides.
                    raise StepError(
                        f"{self.verb} on {self.host}, and its gate has fallen silent: {seen.text}"
                    )
                if self.has_gone():
                    context.starts.ended(self.host)
                    raise StepError(
                        f"{self.verb} on {self.host}, and its process has gone again: {seen.text}"
                    )
            if now >= end:
                raise StillStartingError(
                    f"{self.verb} on {self.host}, but within {self.timeout_seconds:g} s: {seen.text}"
                )
            if now >= say_at:
                say_at = now + SAY_EVERY_SECONDS
                context.say(
                    f"{context.name} is starting on {self.host}: no answer after {now - self._began_at:.0f} s of"
                    f" {self.timeout_seconds:g} s ({seen.text})"
                )
            runtime.sleep(min(pause_seconds, max(end - now, 0.0)))
            # It grows, so that a service that needs long to start is not asked fifty times a second meanwhile.
            pause_seconds = min(pause_seconds * 1.3, 0.5)
        context.starts.served(self.host)
        return seen

    def failed(self, fault: GateError) -> StepError:
        """Return what a gate's refusal or silence comes to: a process that is there may answer yet."""
        text = f"{self.context.name} could not be {self.verb} on {self.host}: {fault}"
        if fault.reason in {"failed", "timeout", "closed"} and self._is_there():
            return StillStartingError(text)
        self.context.starts.ended(self.host)
        return StepError(text, tried=fault.asked)

    def has_gone(self) -> bool:
        """Tell whether the gate says that no process of the service is there, and nothing starts one."""
        status = self._status
        return status is not None and status.processes == 0 and status.underway is None

    def _is_there(self) -> bool:
        self._ask()
        status = self._status
        return status is not None and (bool(status.processes) or status.underway in {"start", "respawn"})

    def _ask(self) -> None:
        """Ask the gate how the service is; what it does not say is not known."""
        try:
            gate = self.context.gates[self.host].status(deadline_seconds=STATUS_SECONDS)
        except GateError as fault:
            # A cause on this host says nothing of the other.
            self._status, self._silent = None, self._silent + fault.asked
            return
        self._status, self._silent = gate.services.get(self.context.name), 0

"""The interface of every step: check whether it is done, do it, undo it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from locum_actuator.domain.mirror_run import Mirrors, NoMirrors
from locum_actuator.domain.ports import Gates, Observer
from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.observation.starts import Starts
from locum_actuator.steps.plan_evidence import PlanEvidence
from locum_actuator.system import runtime
from locum_actuator.system.site_commands import command_environment
from locum_exporter.result import Outcome
from locum_inventory.errors import LocumError
from locum_inventory.site.model import Service, Site

log = logging.getLogger(__name__)


class StepError(LocumError):
    """Raised if a step did not work; the text says what was tried and what was found.

    `tried` is False if the cause is on this host, and the other host was not asked for anything.
    """

    def __init__(self, text: str, *, tried: bool = True) -> None:
        super().__init__(text)
        self.tried = tried


@dataclass(frozen=True, slots=True)
class StepContext:
    """Everything that steps need, for one service under one epoch."""

    site: Site
    name: str
    gates: Gates
    observer: Observer
    epoch: int
    old_holder: str | None
    new_holder: str | None = None
    # Hosts that may hold the address and cannot confirm a release themselves: the old holder, or if none is known,
    # every host whose gate is silent.
    silent_hosts: tuple[str, ...] = ()
    # Those of them for which the plan relies on another vantage point getting no echo either.
    needs_silence_elsewhere: frozenset[str] = frozenset()
    incident: int = 0
    reason: str = ""
    mirrors: Mirrors = field(default_factory=NoMirrors)
    evidence: PlanEvidence = field(default_factory=PlanEvidence)
    starts: Starts = field(default_factory=Starts)
    wrong_answer: bool = False  # the plan is for a holder that answers, but not as expected
    only_candidate: bool = False  # no other host could serve, so a slow start is not interrupted
    say: Callable[[str], None] = log.info  # progress, for the log and the journal

    @property
    def service(self) -> Service:
        """The service's values."""
        return self.site.services[self.name]

    @property
    def local_host(self) -> str:
        """The actuator's own host."""
        return self.site.actuator.host

    def require_silence(self, host: str, wait_seconds: float = 0.0) -> None:
        """Raise `StepError` if a late echo from a silent host arrives within `wait_seconds`."""
        since = self.evidence.silent_since.get(host)
        if since is None:
            return
        try:
            is_late = self.observer.late_echo(host, since, wait_seconds)
        except TimeoutError as fault:
            raise StepError(f"it could not be checked whether {host} is still silent: {fault}") from fault
        if is_late:
            raise StepError(f"a late echo arrived from {host}: delay does not prove that the host is down")

    def require_silent_holder(self, claimer: str) -> None:
        """Raise `StepError` if the host that the address is taken from has answered since.

        A host that confirmed its release may answer. If no holder is known, any silent host may be the holder.
        """
        if self.evidence.let_go:
            return
        for host in tuple(self.evidence.silent_since):
            if host != claimer and self.old_holder in {None, host}:
                self.require_silence(host)


def environment(context: StepContext, step: str, host: str) -> dict[str, str]:
    """Return the complete environment of a command for a step on a host."""
    return command_environment(
        context.name,
        step,
        incident=str(context.incident),
        host=host,
        host_address=str(context.site.hosts[host].address),
        epoch=str(context.epoch),
        reason=context.reason,
        old_holder=context.old_holder or "",
        new_holder=context.new_holder or "",
    )


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One step of a plan, on one host."""

    context: StepContext
    host: str

    @abstractmethod
    def already(self) -> bool:
        """Return whether there is nothing to do."""

    @abstractmethod
    def do(self) -> str:
        """Do the step, check the result, and return what was found; raises `StepError`."""

    @abstractmethod
    def undo(self) -> str | None:
        """Undo the step and return what was done; None if there is nothing to undo. Raises `StepError`."""


def until(
    look: Callable[[], CheckOutcome], deadline_seconds: float, pause_seconds: float = 0.02
) -> CheckOutcome:
    """Repeat a check until it succeeds or the deadline has passed; return the last result.

    The pause grows, so that a service that takes long to start is not checked fifty times a second.
    """
    end = runtime.monotonic() + deadline_seconds
    while True:
        seen = look()
        left = end - runtime.monotonic()
        if seen.outcome is Outcome.WELL or left <= 0:
            return seen
        runtime.sleep(min(pause_seconds, left))
        pause_seconds = min(pause_seconds * 1.3, 0.5)

"""What every step has: look whether it is so already, do it, undo it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

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
    """The step did not work; the text says what was tried and what was seen.

    `tried` is False where the cause is on this host, and nothing was asked of the other.
    """

    def __init__(self, text: str, *, tried: bool = True) -> None:
        super().__init__(text)
        self.tried = tried


@dataclass(frozen=True, slots=True)
class StepContext:
    """What steps work with, for one service under one epoch."""

    site: Site
    name: str
    service: Service
    local_host: str
    gates: Gates
    observer: Observer
    epoch: int
    old_holder: str | None
    new_holder: str | None = None
    # Hosts that may hold the address and cannot say themselves that they let go: the old holder, or where none is
    # known any whose gate is silent.
    silent_hosts: tuple[str, ...] = ()
    # Those of them that the plan leaves behind only as another vantage point gets no echo of them either.
    needs_silence_elsewhere: frozenset[str] = frozenset()
    incident: int = 0
    reason: str = ""
    mirrors: Mirrors = field(default_factory=NoMirrors)
    evidence: PlanEvidence = field(default_factory=PlanEvidence)
    starts: Starts = field(default_factory=Starts)
    wrong_answer: bool = False  # the plan is for a holder that answers, but not as expected
    only_candidate: bool = False  # no other host could serve, so that a slow start is not broken off
    say: Callable[[str], None] = log.info  # progress, for the log and the journal

    def require_silence(self, host: str, wait_seconds: float = 0.0) -> None:
        """Make sure that no echo of a silent host came late, waiting so long for one; raises `StepError`."""
        since = self.evidence.silent_since.get(host)
        if since is not None and self.observer.late_echo(host, since, wait_seconds):
            raise StepError(f"an echo of {host} came late: delay must not look like death")

    def require_silent_holder(self, claimer: str) -> None:
        """Make sure that the host which the address is taken from is as silent as it was; raises `StepError`.

        What has released by its own word may be heard. Where no holder is known, any silent host may be it.
        """
        if self.evidence.let_go:
            return
        for host in tuple(self.evidence.silent_since):
            if host != claimer and self.old_holder in {None, host}:
                self.require_silence(host)


def environment(context: StepContext, step: str, host: str) -> dict[str, str]:
    """Return what a command is told of a step on a host: this and nothing else."""
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


class Step(Protocol):
    """One step of a plan."""

    def already(self) -> bool:
        """Tell whether there is nothing to do."""

    def do(self) -> str:
        """Do it, look that it is so, and return what was seen; raises `StepError`."""

    def undo(self) -> str | None:
        """Take it back and return what was done, None where there is nothing to take back; raises `StepError`."""


def until(
    look: Callable[[], CheckOutcome], deadline_seconds: float, pause_seconds: float = 0.02
) -> CheckOutcome:
    """Look again and again until it is well or the deadline has passed; return the last look.

    The pause grows, so that a service that needs long to start is not asked fifty times a second meanwhile.
    """
    end = runtime.monotonic() + deadline_seconds
    while True:
        seen = look()
        left = end - runtime.monotonic()
        if seen.outcome is Outcome.WELL or left <= 0:
            return seen
        runtime.sleep(min(pause_seconds, left))
        pause_seconds = min(pause_seconds * 1.3, 0.5)

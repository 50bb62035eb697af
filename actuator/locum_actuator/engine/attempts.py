"""What an incident has tried and what came of it, so that it does not try the same again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from locum_actuator.decision.unreached import ANNOUNCED, MOVED
from locum_actuator.domain import patience
from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import Situation
from locum_actuator.steps.runner import Outcome
from locum_actuator.system import runtime
from locum_inventory.site.model import Service

TRY_AGAIN_SECONDS = 30.0  # after this a failed plan may be tried again
ANNOUNCE_AGAIN_SECONDS = 600.0  # until an unreached holder announces the address again
MOVE_AGAIN_SECONDS = 60.0  # on top of the cooldown, until an unproven service is moved again
MOST_IN_VAIN = 3  # how often a plan may move something and undo it because a check then fails


@dataclass(slots=True)
class Attempts:
    """The plans that one incident has carried out so far."""

    service: Service
    same_answer: set[str] = field(default_factory=set)  # hosts that were started and answered wrongly too
    given_back: set[str] = field(default_factory=set)  # hosts that got the service back because a plan failed
    _tried: dict[str, float] = field(default_factory=dict)  # "kind:host", and when
    _slow: dict[str, float] = field(default_factory=dict)  # hosts whose start took too long and still runs
    _vain: int = 0  # how often something moved before a check that failed
    _announced_at: float = float("-inf")  # when an unreached holder was last made to announce the address
    # When a takeover ended unproven, or ended that moved an unreached service.
    _moved_at: float = float("-inf")

    def ran(self, plan: Plan, outcome: Outcome) -> None:
        """Remember when the address of an unreached service was announced or moved."""
        if plan.kind == "claim" and plan.code == "unreached" and outcome.failed is not None:
            self._announced_at = runtime.monotonic()
        if plan.kind == "takeover" and outcome.moved and (plan.code == "unreached" or not outcome.done):
            self._moved_at = runtime.monotonic()

    def failed(self, plan: Plan, outcome: Outcome, situation: Situation) -> None:
        """Remember a plan that failed."""
        failed = outcome.failed
        if failed is not None and outcome.same_answer and failed.name == "start":
            self.same_answer.add(failed.host)
        if failed is not None and failed.name == "start":
            self.given_back |= {step.host for step in plan.steps if step.name == "release"}
        if failed is not None and (failed.name == "confirm" or not outcome.tried):
            # A failed check is no attempt and is repeated at once, but not for ever if each one costs a release.
            self._vain += outcome.moved
            if self._vain < MOST_IN_VAIN:
                return
            self._vain = 0
        if (
            failed is not None
            and failed.name in {"release", "fence"}
            and situation.hosts[failed.host].fenceable
        ):
            # Not the target's fault: a failed release leads to fencing, a failed fence to a refusal.
            self._tried[f"{failed.name}:{failed.host}"] = runtime.monotonic()
            return
        mark = {"respawn": "respawn", "release": "release"}.get(plan.kind, "take")
        hosts = [step.host for step in plan.steps] if plan.kind == "release" else [plan.target]
        for host in hosts:
            self._tried[f"{mark}:{host}"] = runtime.monotonic()

    def still_starting(self, failed: PlannedStep) -> None:
        """Remember a start or respawn that took too long and was not undone."""
        self._slow[failed.host] = runtime.monotonic()
        if failed.name == "respawn":
            self._tried[f"respawn:{failed.host}"] = runtime.monotonic()

    def slow_hosts(self) -> Iterator[str]:
        """Yield the hosts whose start took too long and still runs; for a limited time if no process shows it."""
        limit_seconds = patience.start_seconds(self.service)
        for host, since in self._slow.items():
            if self.service.checks.process is not None or runtime.monotonic() - since < limit_seconds:
                yield host

    def recent(self) -> frozenset[str]:
        """Return what was tried so recently that it is not tried again yet, as `Memory.tried` has it."""
        now = runtime.monotonic()
        tried = {mark for mark, at in self._tried.items() if now - at < TRY_AGAIN_SECONDS}
        if now - self._announced_at < ANNOUNCE_AGAIN_SECONDS:
            tried.add(ANNOUNCED)
        moved = now - self._moved_at < MOVE_AGAIN_SECONDS + self.service.takeover.cooldown
        return frozenset(tried | {MOVED} if moved else tried)

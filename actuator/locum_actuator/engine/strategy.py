"""Strategies of incidents: how they decide, what they count, and how they end.

`FaultStrategy` handles a fault; the strategy for a planned move is in move_incident.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from locum_actuator.decision.failover import decide
from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine.context import Context

Ending = tuple[str, str]  # the outcome code and its reason
# What follows a decision: carry out the plan, check again, or end the incident.
Next = Literal["carry_out", "look_again"] | Ending
SilentElsewhere = Callable[
    [Memory], frozenset[str]
]  # returns the other silent holder hosts; called before a move


class Strategy(Protocol):
    """The way one incident is handled; the incident itself checks, acts and keeps the time."""

    @property
    def is_fault(self) -> bool:
        """Return whether a refusal leaves a fault in place, so that people must be notified."""

    def adjust(self, memory: Memory) -> Memory:
        """Return the memory as this strategy uses it."""

    def decide(self, situation: Situation, memory: Memory, silent_elsewhere: SilentElsewhere) -> Plan:
        """Decide what to do."""

    def decide_again(self, plan: Plan, situation: Situation, memory: Memory) -> Plan:
        """Decide in a fresh situation, in the way the earlier plan was decided."""

    def next(self, plan: Plan, situation: Situation, memory: Memory, age_seconds: float) -> Next:
        """Return what follows a decision, `age_seconds` after the incident began."""

    def has_failed(self, plan: Plan, text: str) -> bool:
        """Record that a plan failed, and why; return whether a standby may still run what it started."""

    def count(self, plan: Plan) -> None:
        """Count a plan that has moved or restarted the service."""

    def ending(self, outcome: str, reason: str, interrupted: str | None) -> Ending:
        """Return how the incident ended; `interrupted` is the step that a stop of this program interrupted."""


@dataclass(frozen=True, slots=True)
class FaultStrategy:
    """The strategy for a fault: the decision table decides, and every plan counts against its brake."""

    context: Context
    number: int
    is_fault: bool = True

    def adjust(self, memory: Memory) -> Memory:
        """Return the memory unchanged."""
        return memory

    def decide(self, situation: Situation, memory: Memory, silent_elsewhere: SilentElsewhere) -> Plan:
        """Decide by the decision table."""
        return self.context.decide(situation, memory, silent_elsewhere)

    def decide_again(self, plan: Plan, situation: Situation, memory: Memory) -> Plan:
        """Decide by the decision table, without checking the other holder hosts again."""
        situation = self.context.asked_once_more(situation, memory)
        return decide(situation, memory, self.context.service)

    def next(self, plan: Plan, situation: Situation, memory: Memory, age_seconds: float) -> Next:
        """Carry out every plan."""
        return "carry_out"

    def has_failed(self, plan: Plan, text: str) -> bool:
        """Return False: the next check finds what is left."""
        return False

    def count(self, plan: Plan) -> None:
        """Count a plan in the metrics, and a takeover in the journal as well."""
        metrics, name = self.context.metrics, self.context.name
        if plan.kind == "respawn":
            metrics.respawns.labels(name).inc()
        elif plan.kind == "takeover":
            metrics.takeovers.labels(name).inc()
            self.context.journal.counts.takeover_done(name, self.number)
        elif plan.kind == "claim":
            metrics.claims.labels(name).inc()

    def ending(self, outcome: str, reason: str, interrupted: str | None) -> Ending:
        """Return the ending, with the result of an interrupted plan."""
        if interrupted is not None:
            reason = f"{reason} ({self._resumed(interrupted)})"
        return outcome, reason

    def _resumed(self, interrupted: str) -> str:
        """Describe how an interrupted plan ended, judged by which host holds the service now."""
        before = self.context.journal.holder_before(self.number)
        now = self.context.journal.holder(self.context.name).host
        if now != before:
            became = f"finished: {now} is the holder now"
        elif _takes_from(before, interrupted):
            became = f"undone: {now} is still the holder"
        else:
            became = f"finished: {now} is still the holder"
        return f"interrupted in the middle of {interrupted}, and {became}"


def _takes_from(holder: str | None, step: str) -> bool:
    """Return whether a step ("claim on b") belongs to a plan that makes another host the holder."""
    name, _, host = step.partition(" on ")
    return name != "respawn" and (name in {"release", "fence"}) == (host == holder)

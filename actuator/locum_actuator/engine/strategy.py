"""What an incident decides by, what it counts, and what its end is called.

`FaultStrategy` is that of a fault; that of a planned move is in move_incident.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from locum_actuator.decision.failover import decide
from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine.context import Context

Ending = tuple[str, str]  # the outcome in one word, and its reason
# What comes after a decision: the plan is carried out, the world is looked at again, or the incident ends.
Next = Literal["carry_out", "look_again"] | Ending
SilentElsewhere = Callable[
    [Memory], frozenset[str]
]  # which other holder hosts are silent, asked before a move


class Strategy(Protocol):
    """How one incident is handled; the incident itself looks, acts and keeps the time."""

    @property
    def is_fault(self) -> bool:
        """Whether a refusal leaves a fault as it is, so that people must be told."""

    def adjust(self, memory: Memory) -> Memory:
        """Return what is remembered, as this strategy takes it."""

    def decide(self, situation: Situation, memory: Memory, silent_elsewhere: SilentElsewhere) -> Plan:
        """Decide what to do."""

    def decide_again(self, plan: Plan, situation: Situation, memory: Memory) -> Plan:
        """Decide in a fresh situation, as an earlier plan was decided."""

    def next(self, plan: Plan, situation: Situation, memory: Memory, age_seconds: float) -> Next:
        """Say what comes after a decision, so long after the incident began."""

    def has_failed(self, plan: Plan, text: str) -> bool:
        """Note that a plan failed, and why; return whether a standby may run what the plan began there."""

    def count(self, plan: Plan) -> None:
        """Count a plan that has moved something, or restarted it."""

    def ending(self, outcome: str, reason: str, interrupted: str | None) -> Ending:
        """Return how the incident ended; `interrupted` is the step that a stop of this program broke off."""


@dataclass(frozen=True, slots=True)
class FaultStrategy:
    """The strategy for a fault: the decision table decides, and every plan counts against its brake."""

    context: Context
    number: int
    is_fault: bool = True

    def adjust(self, memory: Memory) -> Memory:
        """Return it as it is."""
        return memory

    def decide(self, situation: Situation, memory: Memory, silent_elsewhere: SilentElsewhere) -> Plan:
        """Decide by the decision table."""
        return self.context.decide(situation, memory, silent_elsewhere)

    def decide_again(self, plan: Plan, situation: Situation, memory: Memory) -> Plan:
        """Decide by the decision table, without the other holder hosts: they were asked before."""
        situation = self.context.asked_once_more(situation, memory)
        return decide(situation, memory, self.context.service)

    def next(self, plan: Plan, situation: Situation, memory: Memory, age_seconds: float) -> Next:
        """Carry every plan out."""
        return "carry_out"

    def has_failed(self, plan: Plan, text: str) -> bool:
        """Note nothing: what is left is seen when it is looked again."""
        return False

    def count(self, plan: Plan) -> None:
        """Count it in the metrics, and a takeover in the journal."""
        metrics, name = self.context.metrics, self.context.name
        if plan.kind == "respawn":
            metrics.respawns.labels(name).inc()
        elif plan.kind == "takeover":
            metrics.takeovers.labels(name).inc()
            self.context.journal.takeover_done(name, self.number)
        elif plan.kind == "claim":
            metrics.claims.labels(name).inc()

    def ending(self, outcome: str, reason: str, interrupted: str | None) -> Ending:
        """Return it with what became of a plan that was broken off."""
        if interrupted is not None:
            reason = f"{reason} ({self._resumed(interrupted)})"
        return outcome, reason

    def _resumed(self, interrupted: str) -> str:
        """Say what became of a plan that a stop broke off: the world decides, so it shows in who holds now."""
        before = self.context.journal.holder_before(self.number)
        now = self.context.journal.holder(self.context.name).host
        if now != before:
            became = f"finished, {now} holds now"
        elif _takes_from(before, interrupted):
            became = f"undone, {now} holds as before"
        else:
            became = f"finished, {now} holds as before"
        return f"broken off in the middle of {interrupted}, and {became}"


def _takes_from(holder: str | None, step: str) -> bool:
    """Tell whether a step ("claim on b") belongs to a plan that makes another host the holder."""
    name, _, host = step.partition(" on ")
    return name != "respawn" and (name in {"release", "fence"}) == (host == holder)

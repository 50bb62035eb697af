"""Explain what locum would do now and why, without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from locum_actuator.domain.plan import Move, Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine.context import Context
from locum_actuator.engine.engine import Engine
from locum_actuator.observation.storm import NEAR_SECONDS
from locum_actuator.system import runtime

# Each explanation holds a thread of the HTTP server, and alert webhooks must always find a free one.
MOST_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Explanation:
    """A situation and the plan for it. `moves` has the plan of a switchover to each other host."""

    situation: Situation
    plan: Plan
    moves: Mapping[str, Plan]
    at: float  # seconds since the epoch


def decide_now(context: Context, situation: Situation) -> Plan:
    """Decide as a new incident would: before a move, the other holder hosts are checked."""

    def elsewhere(memory: Memory) -> frozenset[str]:
        return context.storm.failing(NEAR_SECONDS) | context.silent_elsewhere(memory)

    context.starts.looked(situation)
    return context.decide(situation, context.memory(), elsewhere)


class Explainer:
    """Explains services, one at a time. Threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = runtime.lock()
        self._room = runtime.semaphore(MOST_AT_ONCE)

    def explain(self, name: str, wait_seconds: float) -> Explanation | None:
        """Check a service and return what would be done; None if other requests took all the time."""
        if not self._room.acquire(blocking=False):
            return None
        try:
            return self._explain(name, wait_seconds)
        finally:
            self._room.release()

    def _explain(self, name: str, wait_seconds: float) -> Explanation | None:
        context = self._engine.context(name)
        # One at a time: requested checks must not keep gates busy that incidents need.
        if not self._lock.acquire(timeout=wait_seconds):
            return None
        try:
            situation = context.observer.situation(name)
            plan = decide_now(context, situation)
        finally:
            self._lock.release()
        holder = context.journal.holder(name).host
        asked_for = {
            host: self._engine.move_requests.judge(name, Move("switchover", host, "a person"), situation)
            for host in context.service.hosts
            if host != holder
        }
        return Explanation(situation, plan, asked_for, runtime.wall_time())

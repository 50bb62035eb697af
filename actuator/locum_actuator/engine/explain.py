"""What locum would do now and why: look, decide, and touch nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from locum_actuator.domain.plan import Move, Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine.context import Context
from locum_actuator.engine.engine import Engine
from locum_actuator.observation.storm import NEAR_SECONDS
from locum_actuator.system import runtime

# Anybody on this host may ask, and whoever does holds a thread of the HTTP server: alerts must find one free.
MOST_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a look found and what would come of it. `moves`: of a switchover to each host that does not hold it."""

    situation: Situation
    plan: Plan
    moves: Mapping[str, Plan]
    at: float  # seconds since the epoch


def decide_now(context: Context, situation: Situation) -> Plan:
    """Decide as an incident would that begins now: before anything moves, the other holder hosts are asked."""

    def elsewhere(memory: Memory) -> frozenset[str]:
        return context.storm.failing(NEAR_SECONDS) | context.silent_elsewhere(memory)

    context.starts.looked(situation)
    return context.decide(situation, context.memory(), elsewhere)


class Explainer:
    """Explains, one service at a time. Threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = runtime.lock()
        self._room = runtime.semaphore(MOST_AT_ONCE)

    def explain(self, name: str, wait_seconds: float) -> Explanation | None:
        """Look at a service and return what would be done; None where others were before us all the time."""
        if not self._room.acquire(blocking=False):
            return None
        try:
            return self._explain(name, wait_seconds)
        finally:
            self._room.release()

    def _explain(self, name: str, wait_seconds: float) -> Explanation | None:
        context = self._engine.context(name)
        # One at a time: looks that anybody asks for must not take the gates' room from those that decide.
        if not self._lock.acquire(timeout=wait_seconds):
            return None
        try:
            situation = context.observer.situation(name)
            plan = decide_now(context, situation)
        finally:
            self._lock.release()
        holder = context.journal.holder(name).host
        asked_for = {
            host: self._engine.move_requests.judge(name, Move("switchover", host, "somebody"), situation)
            for host in context.service.hosts
            if host != holder
        }
        return Explanation(situation, plan, asked_for, runtime.wall_time())

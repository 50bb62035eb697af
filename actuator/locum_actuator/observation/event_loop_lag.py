"""Measure how late this host's event loop was during a check, because a busy host misses answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import replace
from types import TracebackType
from typing import Self

from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView
from locum_actuator.system import runtime
from locum_exporter.result import Outcome

TICK_SECONDS = 0.02
TOO_LATE_SECONDS = (
    0.1  # a check has at least 0.35 s: with this much lost, this host may have caused a failure
)
REMEMBERED_SECONDS = 30.0
NOTICEABLE_SECONDS = 0.03  # less is ordinary scheduling jitter
MOST_ALLOWANCE_SECONDS = 0.8  # a dead host must not be waited for much longer
TOO_LATE_FOR_A_GATE_SECONDS = 0.2  # half of the time that a gate has to answer


class EventLoopLag:
    """Measures the worst lag of the event loop, from entering to the last `discount`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._due = 0.0
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._due = asyncio.get_running_loop().time() + TICK_SECONDS
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking

    def discount(self, view: HostView, vantage_point: str) -> HostView:
        """Return a host's view in which this host's own failures count as not checked if it was late."""
        self._note()
        if self.seconds < TOO_LATE_SECONDS:
            return view
        looks = tuple(self._discounted(look, vantage_point) for look in view.looks)
        if view.gate_fault is None or self.seconds < TOO_LATE_FOR_A_GATE_SECONDS:
            return replace(view, looks=looks)
        return replace(view, looks=looks, gate_asked=False, gate_fault=f"{self._text}: {view.gate_fault}")

    def discount_reach(self, reach: Reach | None, vantage_point: str) -> Reach | None:
        """Return the result through the service addresses, with this host's failures treated in the same way."""
        self._note()
        if reach is None or self.seconds < TOO_LATE_SECONDS:
            return reach
        here = None if reach.here is None else self._discounted(reach.here, vantage_point)
        return Reach(tuple(self._discounted(look, vantage_point) for look in reach.outside), here)

    @property
    def hides_a_gate(self) -> str | None:
        """Return a message if this host was too late to judge a silent gate; None if it was not."""
        self._note()
        return None if self.seconds < TOO_LATE_FOR_A_GATE_SECONDS else self._text

    @property
    def _text(self) -> str:
        return f"this host was {self.seconds * 1000:.0f} ms too busy to check"

    def _discounted(self, look: CheckOutcome, vantage_point: str) -> CheckOutcome:
        if look.vantage_point != vantage_point or look.outcome is not Outcome.FAILED:
            return look
        return CheckOutcome(look.vantage_point, Outcome.NOT_LOOKED, f"{self._text}: {look.text}", "busy")

    def _note(self) -> None:
        self.seconds = max(self.seconds, asyncio.get_running_loop().time() - self._due)

    async def _tick(self) -> None:
        while True:
            self._due = asyncio.get_running_loop().time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._note()


class RecentLag:
    """The lag of recent checks, for the deadlines of the next: on a busy machine answers arrive later too."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=100)  # time (monotonic) and lag

    def saw(self, seconds: float) -> None:
        """Record the lag of one check."""
        self._seen.append((runtime.monotonic(), seconds))

    def allowance_seconds(self) -> float:
        """Return how much to extend a deadline now: twice the worst recent lag, 0 on an idle machine."""
        since = runtime.monotonic() - REMEMBERED_SECONDS
        worst = max((late for at, late in tuple(self._seen) if at >= since), default=0.0)
        return 0.0 if worst < NOTICEABLE_SECONDS else min(2 * worst, MOST_ALLOWANCE_SECONDS)

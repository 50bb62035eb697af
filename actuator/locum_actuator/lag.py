"""How late this host itself was during a look: one that was busy elsewhere has not seen that nobody answered."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from types import TracebackType
from typing import Self

from locum_actuator.situation import HostView, Look
from locum_exporter.result import Outcome

TICK_SECONDS = 0.02
TOO_LATE_SECONDS = 0.1  # a look has 0.35 s at least: so much of it gone, a failure may be our own
TOO_LATE_FOR_A_GATE_SECONDS = 0.2  # half of what a gate has for its answer


class Lag:
    """Measures by how much the event loop was late at most, from entering to the last `discount`."""

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
        """Return what was seen of a host; failures seen from here are no looks at all where this host was late."""
        self._note()
        if self.seconds < TOO_LATE_SECONDS:
            return view
        text = f"this host was {self.seconds * 1000:.0f} ms too busy to look"
        looks = (
            Look(look.vantage_point, Outcome.NOT_LOOKED, f"{text}: {look.text}", "busy")
            if look.vantage_point == vantage_point and look.outcome is Outcome.FAILED
            else look
            for look in view.looks
        )
        if view.gate_fault is None or self.seconds < TOO_LATE_FOR_A_GATE_SECONDS:
            return replace(view, looks=tuple(looks))
        return replace(view, looks=tuple(looks), gate_asked=False, gate_fault=f"{text}: {view.gate_fault}")

    def _note(self) -> None:
        self.seconds = max(self.seconds, asyncio.get_running_loop().time() - self._due)

    async def _tick(self) -> None:
        while True:
            self._due = asyncio.get_running_loop().time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._note()

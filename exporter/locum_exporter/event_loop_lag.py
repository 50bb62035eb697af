"""Measure the lag of the event loop: while it is blocked, an answer may arrive and not be read."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from types import TracebackType
from typing import Self

TICK_SECONDS = 0.02
_KEPT = 3_000  # one minute: no check takes longer


class LoopLag:
    """Continuously measures how late the event loop is; `async with LoopLag() as lag`."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque(maxlen=_KEPT)  # (time of measurement, lag in seconds)
        self._due: float | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._due = asyncio.get_running_loop().time() + TICK_SECONDS
        self._ticking = asyncio.create_task(self._tick(), name="loop lag")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking

    def worst_seconds(self, since: float) -> float:
        """Return the largest lag since a time of the loop's clock."""
        now = asyncio.get_running_loop().time()
        worst = 0.0 if self._due is None else now - self._due
        for noticed_at, late_seconds in reversed(self._late):
            if noticed_at < since:
                break
            worst = max(worst, late_seconds)
        return worst

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            now = loop.time()
            if now - self._due > TICK_SECONDS:
                self._late.append((now, now - self._due))

"""Runs that a person asked for: begun at once, in a thread of their own, for others to look at."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from locum_actuator.domain.mirror_run import MirrorResult, Progress, RunOptions
from locum_actuator.mirror.manager import MirrorManager


@dataclass(slots=True)
class RequestedRun:
    """What a person asked for, and how far it is. `number` grows with each."""

    number: int
    source: str
    destinations: tuple[str, ...]
    results: list[MirrorResult] = field(default_factory=list)
    ended: bool = False


class AskedRuns:
    """The last thing that was asked for, by service."""

    def __init__(self, mirrors: MirrorManager) -> None:
        self._mirrors = mirrors
        self._lock = threading.Lock()
        self._count = 0
        self._last: dict[str, RequestedRun] = {}

    def last(self, service: str) -> RequestedRun | None:
        """Return what was asked for last, None since the actuator started."""
        return self._last.get(service)

    def begin(self, service: str, source: str, destinations: Sequence[str], wish: RunOptions) -> RequestedRun:
        """Mirror from one host to others, one after the other; returns at once."""
        with self._lock:
            self._count += 1
            asked = self._last[service] = RequestedRun(self._count, source, tuple(destinations))
        # Progress is asked of rsync for those who look; where it is kept is the run itself.
        watched = RunOptions(wish.allowed_deletions, wish.discard_changes, _nobody)
        threading.Thread(
            target=self._run, args=(service, asked, watched), name=f"asked-mirror-{service}", daemon=True
        ).start()
        return asked

    def _run(self, service: str, asked: RequestedRun, wish: RunOptions) -> None:
        try:
            for destination in asked.destinations:
                asked.results.append(self._mirrors.run(service, asked.source, destination, wish))
        finally:
            asked.ended = True


def _nobody(_progress: Progress) -> None:
    """Tell nobody."""

"""Run mirrors that a person requested: at once, in a background thread, with visible progress."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from locum_actuator.domain.mirror_run import MirrorResult, Progress, RunOptions
from locum_actuator.mirror.manager import MirrorManager


@dataclass(slots=True)
class RequestedRun:
    """A requested run and its results so far. `number` grows with each request."""

    number: int
    source: str
    destinations: tuple[str, ...]
    results: list[MirrorResult] = field(default_factory=list)
    ended: bool = False


class AskedRuns:
    """The last requested run of each service."""

    def __init__(self, mirrors: MirrorManager) -> None:
        self._mirrors = mirrors
        self._lock = threading.Lock()
        self._count = 0
        self._last: dict[str, RequestedRun] = {}

    def last(self, service: str) -> RequestedRun | None:
        """Return the last requested run, or None if there was none since the actuator started."""
        return self._last.get(service)

    def begin(self, service: str, source: str, destinations: Sequence[str], wish: RunOptions) -> RequestedRun:
        """Start mirroring from one host to others, one after the other; return at once."""
        with self._lock:
            self._count += 1
            asked = self._last[service] = RequestedRun(self._count, source, tuple(destinations))
        # A callback makes rsync report its progress, which the run itself keeps.
        watched = RunOptions(wish.allowed_deletions, wish.discard_changes, _ignore)
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


def _ignore(_progress: Progress) -> None:
    """Do nothing: the run keeps its progress itself."""

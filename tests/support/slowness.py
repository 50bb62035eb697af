"""Tests that measure time say so by the mark `timed`; on a machine that is too slow for them they are skipped.

A test must not fail because its machine is busy. Nearly all of them wait for a condition, with a generous end. Some
have to hold a promise in seconds: these are timed. Where one fails, and this process itself was late by more than
`LATE_SECONDS` meanwhile, its measure says nothing: it is skipped with a line that says how late the machine was.
"""

from __future__ import annotations

import threading
import time

LATE_SECONDS = 0.15
_TICK_SECONDS = 0.01


class LateMeter:
    """Measures by how much a thread of this process was late at most, while it is entered."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="late-meter", daemon=True)

    def __enter__(self) -> LateMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _tick(self) -> None:
        due = time.monotonic() + _TICK_SECONDS
        while not self._ended.wait(_TICK_SECONDS):
            now = time.monotonic()
            self.seconds = max(self.seconds, now - due)
            due = now + _TICK_SECONDS

"""Signs of life of hosts: whatever of a host answered a moment ago, for whichever service it was asked.

Each service is handled by itself, and a host is switched off as a whole. A host whose gate answered another service
a moment ago, or on which another service answers, is not the host that "does not answer".
"""

from __future__ import annotations

from collections.abc import Callable

from locum_actuator.system import runtime

GATE_SECONDS = 1.0  # an answer of the gate is a sign of life for so long


class LifeSigns:
    """When each host's gate answered last. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = runtime.monotonic) -> None:
        self._clock = clock
        self._lock = runtime.lock()
        self._gate_at: dict[str, float] = {}

    def gate_answered(self, host: str) -> None:
        """Note that the gate of a host has answered just now."""
        with self._lock:
            self._gate_at[host] = self._clock()

    def gate_seconds(self, host: str) -> float | None:
        """Return how long ago the gate of a host answered last, where that is a sign of life still."""
        with self._lock:
            at = self._gate_at.get(host)
        seconds = None if at is None else self._clock() - at
        return seconds if seconds is not None and seconds < GATE_SECONDS else None

"""Signs of life of hosts: recent answers of a host's gate, for any service.

Each service is handled separately, but a host is switched off as a whole. A host whose gate answered another
service a moment ago, or on which another service answers, is not dead.
"""

from __future__ import annotations

from locum_actuator.system import runtime

GATE_SECONDS = 1.0  # an answer of the gate is a sign of life for this long


class LifeSigns:
    """The time of each gate's last answer. Threads may share it."""

    def __init__(self) -> None:
        self._lock = runtime.lock()
        self._gate_at: dict[str, float] = {}

    def gate_answered(self, host: str) -> None:
        """Record that the gate of a host has just answered."""
        with self._lock:
            self._gate_at[host] = runtime.monotonic()

    def gate_seconds(self, host: str) -> float | None:
        """Return how long ago a host's gate last answered; None if that is no longer a sign of life."""
        with self._lock:
            at = self._gate_at.get(host)
        seconds = None if at is None else runtime.monotonic() - at
        return seconds if seconds is not None and seconds < GATE_SECONDS else None

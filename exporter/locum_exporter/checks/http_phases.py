"""Measure the phases of an HTTP check."""

from __future__ import annotations

import time
from typing import Literal

from locum_exporter.checks.http_tls import Handshake

Phase = Literal["resolve", "connect", "tls", "first_byte", "transfer"]
_Mark = Literal["resolve", "connected", "first_byte", "transfer"]


class Phases:
    """The times at which the phases of one check ended, from `time.perf_counter`."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._over_at: dict[_Mark, float] = {}
        self.resolving = False  # a name is being resolved

    @property
    def connected(self) -> bool:
        """Whether the connection was established, including TLS."""
        return "connected" in self._over_at

    @property
    def stage(self) -> str:
        """What the last phase did not achieve, as the beginning of a message."""
        if self.resolving:
            return "the name was not resolved"
        if "first_byte" in self._over_at:
            return "the body was not complete"
        return "no answer" if "connected" in self._over_at else "no connection"

    def mark(self, what: _Mark) -> None:
        """Record that a phase has ended now."""
        self._over_at[what] = time.perf_counter()

    def seconds(self, handshake: Handshake) -> dict[Phase, float]:
        """Return the duration of each completed phase in seconds, in order."""
        ends: list[tuple[Phase, float | None]] = [
            ("resolve", self._over_at.get("resolve")),
            ("connect", handshake.started_at or self._over_at.get("connected")),
            ("tls", self._over_at.get("connected") if handshake.started_at else None),
            ("first_byte", self._over_at.get("first_byte")),
            ("transfer", self._over_at.get("transfer")),
        ]
        taken: dict[Phase, float] = {}
        began_at = self._started_at
        for phase, ended_at in ends:
            if ended_at is not None:
                taken[phase] = ended_at - began_at
                began_at = ended_at
        return taken

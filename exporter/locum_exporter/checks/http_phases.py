"""How long each phase of an HTTP check took."""

from __future__ import annotations

import time
from typing import Literal

from locum_exporter.checks.http_tls import Handshake

Phase = Literal["resolve", "connect", "tls", "first_byte", "transfer"]
_Mark = Literal["resolve", "connected", "first_byte", "transfer"]


class Phases:
    """The moments at which the phases of one look were over. Times are of `time.perf_counter`."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._over_at: dict[_Mark, float] = {}
        self.resolving = False  # a name is being resolved

    @property
    def connected(self) -> bool:
        """Whether the connection was there, TLS included."""
        return "connected" in self._over_at

    @property
    def stage(self) -> str:
        """What was under way last, in words."""
        if self.resolving:
            return "the resolution of the name was"
        if "first_byte" in self._over_at:
            return "the body was"
        return "the answer was" if "connected" in self._over_at else "the connection was"

    def mark(self, what: _Mark) -> None:
        """Note that something is over now."""
        self._over_at[what] = time.perf_counter()

    def seconds(self, handshake: Handshake) -> dict[Phase, float]:
        """Return the seconds of each phase that was completed, in their order."""
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

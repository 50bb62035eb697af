"""The planned moves of services in the journal."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain.plan import Move
from locum_actuator.journal.clock import BrakeClock
from locum_actuator.journal.database import Read, Write


@dataclass(frozen=True, slots=True)
class MoveDone:
    """A planned move that made its target the holder; `done_at` is a time of the journal's clock."""

    incident: int
    verb: str
    target: str
    asked_by: str | None  # None: locum itself
    done_at: float


class PlannedMoves:
    """The requested moves, each with its incident, and whether it was done."""

    def __init__(self, read: Read, write: Write, clock: BrakeClock) -> None:
        self._read = read
        self._write = write
        self._clock = clock

    def begin(self, incident: int, service: str, move: Move) -> None:
        """Record a requested move, and who requested it, before the first check."""
        asked = (move.verb, move.target, move.asked_by, move.reason, move.despite_pause)
        with self._write() as db:
            db.execute("INSERT INTO moves VALUES (?,?,?,?,?,?,?,NULL)", (incident, service, *asked))

    def done(self, incident: int, target: str) -> None:
        """Record that a move has made its target the holder."""
        with self._write() as db:
            db.execute(
                "UPDATE moves SET target=?, done_at=? WHERE incident=?", (target, self._clock.now(), incident)
            )

    def of_incident(self, incident: int) -> Move | None:
        """Return the planned move of an incident; None if it is a fault."""
        rows = self._read(
            "SELECT verb, target, asked_by, reason, despite_pause FROM moves WHERE incident=?", incident
        )
        return Move(**{**rows[0], "despite_pause": bool(rows[0]["despite_pause"])}) if rows else None

    def last(self, service: str) -> MoveDone | None:
        """Return the last completed planned move of a service."""
        rows = self._read(
            "SELECT incident, verb, target, asked_by, done_at FROM moves"
            " WHERE service=? AND done_at IS NOT NULL ORDER BY incident DESC LIMIT 1",
            service,
        )
        return MoveDone(**rows[0]) if rows else None

"""The takeovers and respawns in the journal, as the brakes count them."""

from __future__ import annotations

from typing import Literal

from locum_actuator.journal.clock import BrakeClock
from locum_actuator.journal.database import Read, Write

Counted = Literal["takeovers", "respawns"]  # the tables


class BrakeCounts:
    """The takeovers and respawns of every service; their times are those of the journal's clock."""

    def __init__(self, read: Read, write: Write, clock: BrakeClock) -> None:
        self._read = read
        self._write = write
        self._clock = clock

    def count_takeover(self, service: str, incident: int) -> None:
        """Count a takeover before it begins: one that fails half-way uses the budget too."""
        with self._write() as db:
            db.execute(
                "INSERT INTO takeovers (service, at, incident) VALUES (?,?,?)",
                (service, self._clock.now(), incident),
            )

    def uncount(self, what: Counted, incident: int) -> None:
        """Delete an incident's last count, because nothing was moved after all."""
        last = f"SELECT max(rowid) FROM {what} WHERE incident=?"  # noqa: S608 - one of two names
        with self._write() as db:
            db.execute(f"DELETE FROM {what} WHERE rowid=({last})", (incident,))  # noqa: S608

    def takeovers_since(self, service: str, since: float) -> int:
        """Count the takeovers of a service begun after `since` (of `clock`)."""
        (row,) = self._read("SELECT count(*) AS n FROM takeovers WHERE service=? AND at>?", service, since)
        return int(row["n"])

    def takeover_done(self, service: str, incident: int) -> None:
        """Record that the takeover an incident counted last has made a standby the holder."""
        with self._write() as db:
            db.execute(
                "UPDATE takeovers SET done_at=? WHERE rowid="
                "(SELECT max(rowid) FROM takeovers WHERE service=? AND incident=?)",
                (self._clock.now(), service, incident),
            )

    def last_takeover(self, service: str) -> float | None:
        """Return when a standby last became the holder (of `clock`); None if none has."""
        (row,) = self._read("SELECT max(done_at) AS at FROM takeovers WHERE service=?", service)
        at: float | None = row["at"]
        return at

    def count_respawn(self, service: str, host: str, incident: int) -> None:
        """Count a respawn before it begins."""
        with self._write() as db:
            db.execute("INSERT INTO respawns VALUES (?,?,?,?)", (service, host, self._clock.now(), incident))

    def respawns_since(self, service: str, since: float) -> dict[str, int]:
        """Count the respawns of a service begun after `since` (of `clock`), by host."""
        rows = self._read(
            "SELECT host, count(*) AS n FROM respawns WHERE service=? AND at>? GROUP BY host", service, since
        )
        return {row["host"]: row["n"] for row in rows}

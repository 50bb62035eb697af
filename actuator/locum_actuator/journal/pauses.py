"""The pauses of services in the journal, which people begin and end."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.journal.clock import BrakeClock
from locum_actuator.journal.database import Read, Write


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of a service ordered by a person; times in seconds since the epoch."""

    begun_at: float
    until: float
    reason: str


class Pauses:
    """The pauses of every service; they are counted by the journal's clock."""

    def __init__(self, read: Read, write: Write, clock: BrakeClock) -> None:
        self._read = read
        self._write = write
        self._clock = clock

    def begin(self, service: str, seconds: float, reason: str) -> Pause:
        """Pause a service from now on, replacing an existing pause."""
        now = self._clock.now()
        with self._write() as db:
            db.execute("UPDATE pauses SET ended_at=? WHERE service=? AND ended_at IS NULL", (now, service))
            db.execute(
                "INSERT INTO pauses (service, begun_at, until, reason) VALUES (?,?,?,?)",
                (service, now, now + seconds, reason),
            )
        return self._on_the_wall(Pause(now, now + seconds, reason))

    def end(self, service: str) -> bool:
        """End a service's pause; return whether there was one."""
        was_paused = self.current(service) is not None
        with self._write() as db:
            db.execute(
                "UPDATE pauses SET ended_at=? WHERE service=? AND ended_at IS NULL",
                (self._clock.now(), service),
            )
        return was_paused

    def current(self, service: str) -> Pause | None:
        """Return the pause of a service; None if it is not paused or the pause has ended."""
        rows = self._read(
            "SELECT begun_at, until, reason FROM pauses WHERE service=? AND ended_at IS NULL AND until>?"
            " ORDER BY id DESC LIMIT 1",
            service,
            self._clock.now(),
        )
        return self._on_the_wall(Pause(**rows[0])) if rows else None

    def _on_the_wall(self, pause: Pause) -> Pause:
        """Return a pause with its times converted to the wall clock, for people."""
        begun_at, until = map(self._clock.on_the_wall, (pause.begun_at, pause.until))
        return Pause(begun_at, until, pause.reason)

"""Run a periodic job in a thread; neither an unreadable journal nor any other fault ends it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

from locum_actuator.journal.database import JournalError
from locum_actuator.system.background import BackgroundThread, Health


class PeriodicThread(ABC):
    """Calls `tick` every so many seconds until it is asked to end; each failure is logged and counted."""

    every_seconds: float
    log: logging.Logger
    what_rests: str  # the effect of an unreadable journal, such as "automatic failback is suspended"
    known_as: str  # the job's name in the log, such as "the mirror schedule"

    def __init__(self, name: str, health: Health | None = None) -> None:
        self._health = health or Health()
        self._thread = BackgroundThread(name, self.run, self._health)

    @abstractmethod
    def tick(self) -> None:
        """Check once, and begin what is due."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until the thread has ended, at most `timeout_seconds`."""
        self._thread.join(timeout_seconds)

    def end(self) -> None:
        """Ask the thread to end."""
        self._thread.end()

    def run(self) -> None:
        """Call `tick` periodically until the thread is asked to end."""
        while not self._thread.ended.wait(self.every_seconds):
            try:
                self.tick()
            except JournalError as fault:
                self._health.failed(self._thread.name, fault)
                self.log.error(
                    "%s while the journal cannot be read: %s",
                    self.what_rests,
                    fault,
                    extra={"event": "journal_not_read"},
                )
            except Exception as fault:
                self._health.failed(self._thread.name, fault)
                self.log.exception(
                    "unexpected error in %s, which continues",
                    self.known_as,
                    extra={"event": "unexpected_error"},
                )
            else:
                self._health.succeeded(self._thread.name)

"""A thread that looks again and again: a journal that cannot be read, or a look that stumbles, does not end it."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from locum_actuator.journal import JournalFault


class Rounds(ABC, threading.Thread):
    """Calls `tick` every so many seconds until it is told to end; what goes wrong is told in the log."""

    every_seconds: float
    log: logging.Logger
    what_rests: str  # what is not done while the journal cannot be read, such as "nothing is mirrored"
    known_as: str  # who stumbled, such as "the mirrors' schedule"

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._ended = threading.Event()

    @abstractmethod
    def tick(self) -> None:
        """Look once, and begin what is due."""

    def end(self) -> None:
        """Ask the thread to end."""
        self._ended.set()

    def run(self) -> None:
        """Look until the end."""
        while not self._ended.wait(self.every_seconds):
            try:
                self.tick()
            except JournalFault as fault:
                self.log.error(
                    "%s while the journal cannot be read: %s",
                    self.what_rests,
                    fault,
                    extra={"event": "journal_not_read"},
                )
            except Exception:
                self.log.exception("%s stumbled and goes on", self.known_as, extra={"event": "stumbled"})

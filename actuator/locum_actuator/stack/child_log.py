"""The log of a child process: written by the child, truncated by its parent."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 8 * 1024 * 1024  # one older file of the same size is kept
_LAST_WORDS_BYTES = 2000


class ChildLog:
    """The log of one program. The program writes it directly, so it never waits for us; we limit its size."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        self._born_at = 0

    def open(self) -> int:
        """Return a descriptor for a child. What is written from now on counts as its output."""
        self.trim()
        # Appending, so that a write after trim() lands at the new end.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._born_at = os.fstat(descriptor).st_size
        return descriptor

    def trim(self) -> None:
        """Rename the log if it is too long. Lines written meanwhile may be lost, but never the newest."""
        try:
            if self.path.stat().st_size <= self._limit_bytes:
                return
            shutil.copyfile(self.path, self.path.with_suffix(".log.1"))
            os.truncate(self.path, 0)
        except OSError:  # a full disk must not end the supervision
            return
        self._born_at = 0

    def last_words(self) -> str:
        """Return the last line that the current child wrote, or an empty string."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._born_at, size - _LAST_WORDS_BYTES))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].strip() if lines else ""

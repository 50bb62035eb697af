"""Read the journal over a separate connection, so that readers do not wait for writes.

A write waits for the disk. With SQLite's write-ahead log others can read the last committed state meanwhile, and
readers never block a writer (https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from locum_actuator.journal.database import JournalError
from locum_actuator.system import runtime


class JournalReader:
    """Reads a journal's file, which it opens on the first read. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = runtime.lock()
        self._db: sqlite3.Connection | None = None

    def read(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows of a SELECT; raises `JournalError`."""
        with self._lock:
            try:
                if self._db is None:
                    address = f"{self._path.absolute().as_uri()}?mode=ro"
                    self._db = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=1.0)
                    self._db.row_factory = sqlite3.Row
                return [dict(row) for row in self._db.execute(sql, values)]
            except sqlite3.Error as fault:
                raise JournalError(f"{self._path}: the journal cannot be read: {fault}") from fault

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

"""The journal read beside its writer, over a connection of its own: who only looks waits for no write.

A write waits for the disk. SQLite's write-ahead log lets others read meanwhile what was written last, and a reader
never holds a writer up (https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from locum_actuator.journal.journal import JournalError
from locum_actuator.system import runtime


class JournalReader:
    """Reads a journal's file; opens it when it is first asked. Threads may share it."""

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

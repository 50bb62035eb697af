"""The journal's file: opening it, and reading and writing it durably.

SQLite with a write-ahead log and `synchronous=FULL`: a write survives `kill -9` and power loss once its method has
returned. All writes use one connection, and simultaneous ones are committed together (`group_commits.py`); reads
have their own connection and do not wait for writes.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from locum_actuator.journal.clock import BrakeClock
from locum_actuator.journal.future_rows import clamp_to_now
from locum_actuator.journal.group_commits import GroupCommits
from locum_actuator.journal.schema import VERSIONS
from locum_actuator.system import runtime
from locum_inventory.errors import LocumError

log = logging.getLogger(__name__)

SYNCHRONOUS = "FULL"  # writes survive a power loss (sqlite.org/pragma.html)
PROOF_SECONDS = 5.0  # for this long a write proves that the journal can be written

Read = Callable[..., list[dict[str, Any]]]  # runs one SELECT with its values and returns the rows
Write = Callable[[], AbstractContextManager[sqlite3.Connection]]  # durable once its block has ended


class JournalError(LocumError):
    """Raised if the journal cannot be opened, read or written."""


class JournalDatabase:
    """The file with its connections. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = BrakeClock()  # for pauses and for all counts of brakes
        self._reading = runtime.lock()  # held while the second connection is read
        self._fault: str | None = None  # why the last write failed
        self._read_fault: str | None = None  # why a read failed, until the file is found to be sound
        self._written_at = float("-inf")  # monotonic
        self._connections: list[sqlite3.Connection] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._connect()
            self._commits = GroupCommits(self._db)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._migrate()
            self._clamp_future_rows()
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only=ON")
        except (sqlite3.Error, OSError) as fault:
            self._close_all()
            raise JournalError(f"{path}: the journal cannot be opened: {fault}") from fault
        except JournalError:
            self._close_all()
            raise

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=5.0)
        self._connections.append(db)
        db.row_factory = sqlite3.Row
        return db

    def _close_all(self) -> None:
        while self._connections:
            self._connections.pop().close()

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(VERSIONS):
            raise JournalError(f"{self.path}: written by another version of locum (schema {version})")
        for number, script in enumerate(VERSIONS[version:], version + 1):
            self._db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")

    def _clamp_future_rows(self) -> None:
        """Correct rows in the future if the wall clock was set back; if that fails, brakes only last longer."""
        with suppress(sqlite3.OperationalError):
            ahead = clamp_to_now(self._db, self.clock.now())
            if ahead:
                log.warning(
                    "the wall clock is %.0f s behind the journal: the newest takeover, respawn or pause counts"
                    " as now",
                    ahead,
                    extra={"event": "clock_set_back"},
                )

    def close(self) -> None:
        """Close the file."""
        with self._reading:
            self._reader.close()
        self._commits.close()

    def look(self) -> str | None:
        """Return why the journal cannot be used, or None. Without a recent write as proof, make one."""
        if self._fault is not None or runtime.monotonic() - self._written_at > PROOF_SECONDS:
            with suppress(JournalError), self._write() as db:
                db.execute(f"PRAGMA user_version={len(VERSIONS)}")  # unchanged, but a page is written
        if self._fault is not None:
            return f"cannot be written ({self._fault})"
        self._read_fault = self._read_fault and self._unsound()
        return self._read_fault and (
            f"cannot be read ({self._read_fault}): restart the actuator, which keeps a corrupt journal aside"
        )

    def _unsound(self) -> str | None:
        """Check the whole file, over a separate connection, and return what is wrong with it."""
        try:
            with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as fault:
            return str(fault)
        return None if verdict == "ok" else str(verdict)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._commits.write() as db:
                yield db
        except sqlite3.Error as fault:
            self._fault = str(fault)
            raise JournalError(f"{self.path}: the journal cannot be written: {fault}") from fault
        self._fault, self._written_at = None, runtime.monotonic()

    def _read(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self._reading:
            try:
                return [dict(row) for row in self._reader.execute(sql, values)]
            except sqlite3.Error as fault:
                self._read_fault = str(fault)
                raise JournalError(f"{self.path}: the journal cannot be read: {fault}") from fault

"""The disk of the actuator's machine: commits are slow or fail, and a kill leaves what was written."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from locum_actuator.journal.journal import Journal
from locum_actuator.system import runtime
from sim.world import World

FILE = "journal.sqlite"
# What SQLite raises where a write fails (sqlite.org/rescode.html).
FULL = "database or disk is full"
READ_ONLY = "attempt to write a readonly database"
BROKEN = "disk I/O error"
TORN = 0.3  # of the kills: so often a part of the next transaction was written
PAGE_BYTES = 4096


@dataclass(slots=True)
class Disk:
    """The disk, with the journal that is on it."""

    world: World
    directory: Path  # of the process that runs now
    commit_seconds: float = 0.0
    fault: str | None = None  # why writes fail
    fails_at_statements: bool = False  # … and whether that is noticed before the commit
    _lives: int = 0
    _open: list[sqlite3.Connection] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.directory / FILE

    def connect(self) -> sqlite3.Connection:
        """Open the journal's file."""
        disk = self

        class Connection(sqlite3.Connection):
            """A connection whose commits take the disk's time."""

            def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    disk.commits()
                    done = super().execute(sql, values)
                    disk.world.operation()  # killed here, what is on the disk was not acknowledged
                    return done
                if sql.startswith("INSERT INTO events"):
                    disk.world.writes_down(values[2], values[3])
                if sql.startswith("UPDATE incidents SET closed_at=?, outcome=?"):
                    disk.world.on_close(values[1], values[2])
                if disk.fault is not None and disk.fails_at_statements and sql.startswith("INSERT"):
                    super().execute("ROLLBACK")  # as SQLite does with a transaction that it cannot go on with
                    raise sqlite3.OperationalError(disk.fault)
                return super().execute(sql, values)

        db = sqlite3.connect(
            self.path, check_same_thread=False, isolation_level=None, timeout=0.0, factory=Connection
        )
        self._open.append(db)
        return db

    def commits(self) -> None:
        """Spend the time of a commit. Raises `sqlite3.OperationalError` if the disk does not take it."""
        self.world.operation()  # killed here, the process leaves no trace of this transaction
        if self.commit_seconds:
            runtime.sleep(self.commit_seconds)
        if self.fault is not None:
            raise sqlite3.OperationalError(self.fault)

    def killed(self) -> None:
        """Leave the files as they are for the next process: what was not committed is lost.

        Sometimes the begin of the next transaction had reached the disk: a torn write, which SQLite has to notice.
        """
        before, self.directory = self.directory, self._next_directory("life")
        _copy(before, self.directory)
        log = self.directory / f"{FILE}-wal"
        if log.exists() and self.world.chance.random() < TORN:
            with log.open("ab") as torn:
                torn.write(self.world.chance.randbytes(self.world.chance.randrange(1, PAGE_BYTES)))
        self.close()
        shutil.rmtree(before)

    def copied(self) -> Path:
        """Return a directory with a copy of the journal as it is now."""
        copy = self._next_directory("copy")
        _copy(self.directory, copy)
        return copy

    def restore(self, copy: Path) -> None:
        """Put a copy of the journal in its place; no process may run."""
        _copy(copy, self.directory)

    def _next_directory(self, kind: str) -> Path:
        self._lives += 1
        directory = self.directory.with_name(f"{kind}-{self._lives}")
        directory.mkdir()
        return directory

    def close(self) -> None:
        """Close what the last process has left open."""
        while self._open:
            self._open.pop().close()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let journals be opened on this disk."""

        def connect(journal: Journal) -> sqlite3.Connection:
            db = self.connect()
            journal._connections.append(db)
            db.row_factory = sqlite3.Row
            return db

        with patch.object(Journal, "_connect", connect):
            yield


def _copy(source: Path, target: Path) -> None:
    """Copy a journal with its log; what only the target has of them is removed."""
    for name in (FILE, f"{FILE}-wal"):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
        else:
            (target / name).unlink(missing_ok=True)

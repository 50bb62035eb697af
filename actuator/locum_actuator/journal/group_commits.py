"""Commit simultaneous writes of several threads together, so that they share one wait for the disk.

A commit waits until the data are on the disk, which takes milliseconds, or hundreds of them on a slow disk. With
one commit per write, twenty services would wait for each other. Here the statements of each write run immediately,
one thread after the other, in a shared transaction; the thread that began it commits it as soon as no other is
about to join. Each write returns only after that commit, so it is durable when it returns. A write waits for at
most two commits: the one under way, and its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from locum_actuator.system import runtime

JOIN_SECONDS = 0.05  # how long a transaction waits at most for threads that are about to join


@dataclass(slots=True, eq=False)
class _Group:
    """The writes of one transaction."""

    writes: int = 0
    fault: sqlite3.Error | None = None  # why none of them was written
    ended: runtime.Event = field(default_factory=runtime.event)

    def end(self, fault: sqlite3.Error | None = None) -> None:
        self.fault = fault
        self.ended.set()


class GroupCommits:
    """Writes through one connection, which has to be in autocommit mode. Threads may share it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._connection = runtime.lock()  # held while statements run, and during a commit
        self._arrivals = runtime.condition()
        self._coming = 0  # threads that are about to join
        self._group: _Group | None = None  # the transaction that is open

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the block's statements atomically; return when they are durable. Raises `sqlite3.Error`."""
        with self._arrivals:
            self._coming += 1
        try:
            self._connection.acquire()
            try:
                group, leads = self._join()
            except BaseException:
                self._connection.release()
                raise
        finally:
            with self._arrivals:
                self._coming -= 1
                self._arrivals.notify_all()
        try:
            try:
                yield from self._statements(group)
            finally:
                self._connection.release()
        finally:
            # Even if its own statements failed: the other threads wait for the one that began the transaction.
            if leads:
                self._commit(group)
        if not leads:
            group.ended.wait()
        if group.fault is not None:
            raise sqlite3.OperationalError(str(group.fault)) from group.fault

    def close(self) -> None:
        """Close the connection."""
        with self._connection:
            self._db.close()

    def _join(self) -> tuple[_Group, bool]:
        """Return the open transaction, or begin one; also return whether this thread has begun it."""
        if self._group is not None:
            return self._group, False
        self._db.execute("BEGIN IMMEDIATE")
        self._group = _Group()
        return self._group, True

    def _statements(self, group: _Group) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("SAVEPOINT one_write")
            yield self._db
            self._db.execute("RELEASE one_write")
            group.writes += 1
        except BaseException as fault:
            self._take_back(group, fault)
            raise

    def _take_back(self, group: _Group, fault: BaseException) -> None:
        """Undo the statements of one write; if SQLite has ended the whole transaction, all its writes fail."""
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO one_write")
                self._db.execute("RELEASE one_write")
                return
        except sqlite3.Error as worse:
            fault = worse
            self._roll_back()
        # For example a full or broken disk: SQLite has rolled back already (sqlite.org/lang_transaction.html).
        self._group = None
        group.end(fault if isinstance(fault, sqlite3.Error) else sqlite3.OperationalError(str(fault)))

    def _commit(self, group: _Group) -> None:
        try:
            with self._arrivals:
                self._arrivals.wait_for(lambda: self._coming == 0, JOIN_SECONDS)
        finally:
            with self._connection:
                if not group.ended.is_set():
                    self._end(group)

    def _end(self, group: _Group) -> None:
        self._group = None
        fault: sqlite3.Error | None = sqlite3.OperationalError("the commit was interrupted")
        try:
            self._db.execute("COMMIT" if group.writes else "ROLLBACK")
            fault = None
        except sqlite3.Error as refused:
            fault = refused
            self._roll_back()
        finally:
            group.end(fault)

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # the next BEGIN reports what is wrong
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

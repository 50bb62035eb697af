"""Delete old rows, so that the journal does not fill the disk.

Rows that still matter are never deleted: open incidents, holders and their epochs, pauses, the last takeover of a
service, the last fence of a host, and accepted alerts without an incident so far. Rows are deleted in small
batches, so that a step of a plan waits for at most one small write.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from functools import partial

from locum_actuator.domain.alerts import WOKE
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.system.background import BackgroundThread, Health
from locum_inventory.site.model import Actuator

log = logging.getLogger(__name__)

ROWS = 1000  # per batch, which takes some milliseconds
PAUSE_SECONDS = 0.1  # between two batches, for other writers
ROUND_SECONDS = 3600.0

_LONG_OVER = """(
    SELECT id FROM incidents WHERE closed_at < :before AND id NOT IN (SELECT incident FROM events WHERE id IN (
        SELECT max(id) FROM events WHERE step='fence' AND kind IN ('done', 'already') GROUP BY host)))
"""
# In this order: an incident is deleted when no other row belongs to it.
_FORGET = {
    "alerts": """(received_at < :before OR id <= (SELECT max(id) FROM alerts) - :keep_alerts)
        AND CASE WHEN incident IS NULL THEN verdict != :woke
        ELSE (SELECT closed_at FROM incidents WHERE id=alerts.incident) IS NOT NULL END""",
    "events": f"incident IN {_LONG_OVER}",
    "incidents": f"id IN {_LONG_OVER}"  # noqa: S608 - parts from above
    " AND NOT EXISTS (SELECT 1 FROM events WHERE incident=incidents.id)"
    " AND NOT EXISTS (SELECT 1 FROM alerts WHERE incident=incidents.id)",
}
_COUNTS = (
    "DELETE FROM respawns WHERE at < :before",
    "DELETE FROM takeovers WHERE at < :before AND rowid NOT IN (SELECT max(rowid) FROM takeovers"
    " WHERE done_at IS NOT NULL GROUP BY service)",
)


def prune(journal: Journal, keep: Actuator, rest: Callable[[], bool] = lambda: False) -> int:
    """Prune the journal once; return how many rows were deleted.

    `rest` is called after each batch and returns whether to stop.
    """
    asked: dict[str, object] = {
        "before": journal.clock.now() - keep.keep_incidents,
        "keep_alerts": keep.keep_alerts,
        "woke": WOKE,
    }
    forgotten = journal.prune(lambda db: sum(db.execute(sql, asked).rowcount for sql in _COUNTS))
    for table in _FORGET:
        after: int | None = 0
        while after is not None:
            gone, after = journal.prune(partial(_prune_some, table=table, asked=asked, after=after))
            forgotten += gone
            if rest():
                return forgotten
    return forgotten


def _prune_some(
    db: sqlite3.Connection, *, table: str, asked: dict[str, object], after: int
) -> tuple[int, int | None]:
    """Prune the next rows of a table; return how many were deleted, and the last row checked, None at the end."""
    rows = f"SELECT id FROM {table} WHERE id>? ORDER BY id LIMIT ?"  # noqa: S608 - a name from above
    (last,) = db.execute(f"SELECT max(id) FROM ({rows})", (after, ROWS)).fetchone()  # noqa: S608
    if last is None:
        return 0, None
    done = db.execute(
        f"DELETE FROM {table} WHERE id>:after AND id<=:last AND {_FORGET[table]}",  # noqa: S608
        {**asked, "after": after, "last": last},
    )
    return done.rowcount, int(last)


class Pruning:
    """The thread that prunes the journal once an hour. `keep` returns the site file's current limits."""

    def __init__(self, journal: Journal, keep: Callable[[], Actuator], health: Health | None = None) -> None:
        self._health = health or Health()
        self._thread = BackgroundThread("pruning", self.run, self._health)
        self._journal = journal
        self._keep = keep

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until the thread has ended, at most `timeout_seconds`."""
        self._thread.join(timeout_seconds)

    def end(self) -> None:
        """Ask the thread to end."""
        self._thread.end()

    def run(self) -> None:
        """Prune every hour, first an hour after the start; a fault is logged, and the next round tries again."""
        ended = self._thread.ended
        while not ended.wait(ROUND_SECONDS):
            try:
                forgotten = prune(self._journal, self._keep(), lambda: ended.wait(PAUSE_SECONDS))
            except JournalError as fault:
                self._health.failed(self._thread.name, fault)
                log.warning("the journal is not pruned: %s", fault, extra={"event": "not_pruned"})
            else:
                self._health.succeeded(self._thread.name)
                log.info(
                    "%d old rows of the journal were deleted",
                    forgotten,
                    extra={"event": "pruned"},
                )

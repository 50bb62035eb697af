"""The durable journal: alerts accepted, incidents, every step before and after it ran, and who holds what.

SQLite with a write-ahead log and `synchronous=FULL`: what a method has returned from survives `kill -9` and power
loss. One connection under one lock; a write takes about a millisecond, so nobody waits long.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    received_at REAL NOT NULL,      -- seconds since the epoch, as every *_at here
    name TEXT, service TEXT, host TEXT, status TEXT, starts_at TEXT, fingerprint TEXT,
    verdict TEXT NOT NULL,          -- what was made of it, in words
    incident INTEGER REFERENCES incidents(id)
);
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    opened_at REAL NOT NULL,
    trigger TEXT NOT NULL,          -- the alert's name, or what else woke the actuator
    holder_before TEXT,
    closed_at REAL,
    outcome TEXT,                   -- one word
    reason TEXT                     -- in words
);
CREATE UNIQUE INDEX one_open_incident_per_service ON incidents(service) WHERE closed_at IS NULL;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL REFERENCES incidents(id),
    at REAL NOT NULL,
    kind TEXT NOT NULL,             -- looked, decided, started, done, failed, undone, already
    step TEXT, host TEXT,
    text TEXT NOT NULL,
    seconds REAL,
    data TEXT                       -- JSON
);
CREATE INDEX events_of_incident ON events(incident);
CREATE TABLE holders (
    service TEXT PRIMARY KEY,
    host TEXT,
    epoch INTEGER NOT NULL,
    since REAL NOT NULL
);
CREATE TABLE takeovers (service TEXT NOT NULL, at REAL NOT NULL, incident INTEGER NOT NULL);
CREATE INDEX takeovers_by_time ON takeovers(service, at);
"""


class JournalFault(Exception):  # noqa: N818 - what is wrong with the journal
    """The journal cannot be opened or written."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert of a webhook, as it goes into the journal."""

    name: str | None
    service: str | None
    host: str | None
    status: str | None
    starts_at: str | None
    fingerprint: str | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a service, and since which change of holder."""

    host: str | None
    epoch: int
    since: float


class Journal:
    """The journal in one file. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5.0)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._migrate()
        except (sqlite3.Error, OSError) as fault:
            raise JournalFault(f"{path}: the journal cannot be opened: {fault}") from fault

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")
        elif version != _SCHEMA_VERSION:
            raise JournalFault(f"{self.path}: written by another version of locum (schema {version})")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as fault:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise JournalFault(f"{self.path}: the journal cannot be written: {fault}") from fault

    def _read(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self._lock:
            try:
                return [dict(row) for row in self._db.execute(sql, values)]
            except sqlite3.Error as fault:
                raise JournalFault(f"{self.path}: the journal cannot be read: {fault}") from fault

    # -- alerts ------------------------------------------------------------------------------------------------

    def accept(self, alerts: Iterable[AlertRow]) -> list[int]:
        """Write alerts down, all or none, and return their ids."""
        now = time.time()
        with self._write() as db:
            return [
                int(
                    db.execute(
                        "INSERT INTO alerts (received_at, name, service, host, status, starts_at, fingerprint,"
                        " verdict) VALUES (?,?,?,?,?,?,?,?)",
                        (now, a.name, a.service, a.host, a.status, a.starts_at, a.fingerprint, a.verdict),
                    ).lastrowid
                    or 0
                )
                for a in alerts
            ]

    def attach(self, alerts: Iterable[int], incident: int) -> None:
        """Note which incident alerts belong to: all at once, for a long one gathers thousands."""
        with self._write() as db:
            db.executemany(
                "UPDATE alerts SET incident=? WHERE id=?", [(incident, alert) for alert in alerts]
            )

    # -- incidents ---------------------------------------------------------------------------------------------

    def open_incident(self, service: str, trigger: str) -> int:
        """Open the one incident a service may have at a time, or return the open one."""
        with self._write() as db:
            row = db.execute(
                "SELECT id FROM incidents WHERE service=? AND closed_at IS NULL", (service,)
            ).fetchone()
            if row is not None:
                return int(row["id"])
            holder = db.execute("SELECT host FROM holders WHERE service=?", (service,)).fetchone()
            cursor = db.execute(
                "INSERT INTO incidents (service, opened_at, trigger, holder_before) VALUES (?,?,?,?)",
                (service, time.time(), trigger, holder["host"] if holder else None),
            )
            return int(cursor.lastrowid or 0)

    def note(
        self,
        incident: int,
        kind: str,
        text: str,
        *,
        step: str | None = None,
        host: str | None = None,
        seconds: float | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Write down one event of an incident; it is durable on return."""
        with self._write() as db:
            db.execute(
                "INSERT INTO events (incident, at, kind, step, host, text, seconds, data) VALUES (?,?,?,?,?,?,?,?)",
                (incident, time.time(), kind, step, host, text, seconds, json.dumps(data) if data else None),
            )

    def close_incident(self, incident: int, outcome: str, reason: str) -> None:
        """Close an incident with its outcome in one word and its reason in words."""
        with self._write() as db:
            db.execute(
                "UPDATE incidents SET closed_at=?, outcome=?, reason=? WHERE id=? AND closed_at IS NULL",
                (time.time(), outcome, reason, incident),
            )

    def interrupted(self, incident: int) -> str | None:
        """Return the step that an incident was in the middle of when its worker stopped; None where in none."""
        rows = self._read("SELECT step, host FROM events WHERE incident=? ORDER BY id DESC LIMIT 1", incident)
        if not rows or rows[0]["step"] is None:
            return None  # a decision came after the last step: it was only waiting or looking
        return f"{rows[0]['step']} on {rows[0]['host']}"

    def holder_before(self, incident: int) -> str | None:
        """Return who held the service when an incident was opened."""
        (row,) = self._read("SELECT holder_before FROM incidents WHERE id=?", incident)
        host: str | None = row["holder_before"]
        return host

    def open_incidents(self) -> dict[str, int]:
        """Return the id of each service's open incident."""
        return {
            row["service"]: row["id"]
            for row in self._read("SELECT id, service FROM incidents WHERE closed_at IS NULL")
        }

    def incidents(self, service: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Return incidents, newest first, each with its alerts and events."""
        where, values = ("WHERE service=?", (service,)) if service else ("", ())
        rows = self._read(f"SELECT * FROM incidents {where} ORDER BY id DESC LIMIT ?", *values, limit)  # noqa: S608
        for row in rows:
            row["alerts"] = self._read(
                "SELECT received_at, name, host, status, starts_at, verdict FROM alerts"
                " WHERE incident=? ORDER BY id LIMIT 100",
                row["id"],
            )
            row["events"] = self._read(
                "SELECT at, kind, step, host, text, seconds, data FROM events WHERE incident=? ORDER BY id",
                row["id"],
            )
            for event in row["events"]:
                event["data"] = json.loads(event["data"]) if event["data"] else None
        return rows

    def alerts(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the alerts accepted, newest first, with what was made of each."""
        return self._read("SELECT * FROM alerts ORDER BY id DESC LIMIT ?", limit)

    def fenced(self, host: str) -> tuple[float, str] | None:
        """Return when a host was fenced last (seconds since the epoch) and what was seen of it.

        None where it never was, or where its gate has answered since: then it is on again, and it is history.
        """
        rows = self._read(
            "SELECT id, at, kind, text FROM events WHERE step='fence' AND host=? AND kind IN ('done', 'already')"
            " ORDER BY id DESC LIMIT 1",
            host,
        )
        if not rows:
            return None
        last = rows[0]
        gate = f"$.seen.hosts.{json.dumps(host)}.gate"
        if self._read(
            "SELECT 1 FROM events WHERE id>? AND json_extract(data, ?)='answers' LIMIT 1", last["id"], gate
        ):
            return None
        seen = last["text"] if last["kind"] == "done" else f"{host} was off already, and stays off"
        return float(last["at"]), seen

    # -- holders -----------------------------------------------------------------------------------------------

    def holder(self, service: str) -> Holder:
        """Return who holds a service as far as the journal knows; epoch 0 where it never knew."""
        rows = self._read("SELECT host, epoch, since FROM holders WHERE service=?", service)
        return Holder(**rows[0]) if rows else Holder(None, 0, 0.0)

    def set_epoch(self, service: str, epoch: int) -> None:
        """Write down a new epoch before the first step under it; epochs only grow."""
        with self._write() as db:
            db.execute(
                "INSERT INTO holders (service, host, epoch, since) VALUES (?,NULL,?,?)"
                " ON CONFLICT(service) DO UPDATE SET epoch=max(epoch, excluded.epoch)",
                (service, epoch, time.time()),
            )

    def set_holder(self, service: str, host: str, epoch: int) -> None:
        """Write down who holds a service now."""
        with self._write() as db:
            db.execute(
                "INSERT INTO holders (service, host, epoch, since) VALUES (?,?,?,?) ON CONFLICT(service)"
                " DO UPDATE SET host=excluded.host, epoch=max(epoch, excluded.epoch), since=excluded.since",
                (service, host, epoch, time.time()),
            )

    def count_takeover(self, service: str, incident: int) -> None:
        """Count a takeover before it begins: one that fails half-way has spent its budget too."""
        with self._write() as db:
            db.execute("INSERT INTO takeovers VALUES (?,?,?)", (service, time.time(), incident))

    def takeovers_since(self, service: str, since: float) -> int:
        """Count the takeovers of a service begun after `since` (seconds since the epoch)."""
        (row,) = self._read("SELECT count(*) AS n FROM takeovers WHERE service=? AND at>?", service, since)
        return int(row["n"])

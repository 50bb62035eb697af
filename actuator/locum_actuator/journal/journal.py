"""The durable journal: accepted alerts, incidents, each step before and after it ran, and holders.

SQLite with a write-ahead log and `synchronous=FULL`: a write survives `kill -9` and power loss once its method has
returned. All writes use one connection, and simultaneous ones are committed together (`group_commits.py`); reads
have their own connection and do not wait for writes.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from locum_actuator.domain.plan import Move
from locum_actuator.journal.clock import BrakeClock
from locum_actuator.journal.future_rows import clamp_to_now
from locum_actuator.journal.group_commits import GroupCommits
from locum_actuator.journal.incidents import IncidentQueries
from locum_actuator.journal.mirror_runs import MirrorLedger
from locum_actuator.journal.repeated_looks import merge_into_previous, repeated_incident
from locum_actuator.journal.schema import VERSIONS
from locum_actuator.system import runtime
from locum_inventory.errors import LocumError

log = logging.getLogger(__name__)
Pruned = TypeVar("Pruned")
Counted = Literal["takeovers", "respawns"]  # tables with the counts for brakes

SYNCHRONOUS = "FULL"  # writes survive a power loss (sqlite.org/pragma.html)
_UNCONFIRMED = frozenset({"started", "failed", "undo_failed"})
PROOF_SECONDS = 5.0  # for this long a write proves that the journal can be written


class JournalError(LocumError):
    """Raised if the journal cannot be opened, read or written."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert of a webhook, as it is stored."""

    name: str | None
    service: str | None
    host: str | None
    status: str | None
    starts_at: str | None
    fingerprint: str | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a service, with its epoch and the time of the last change."""

    host: str | None
    epoch: int
    since: float


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of a service ordered by a person; times in seconds since the epoch."""

    begun_at: float
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class MoveDone:
    """A planned move that made its target the holder; `done_at` is a time of the journal's clock."""

    incident: int
    verb: str
    target: str
    asked_by: str | None  # None: locum itself
    done_at: float


class Journal:
    """The journal in one file. Threads may share it."""

    def __init__(self, path: Path, clock: BrakeClock | None = None) -> None:
        self.path = path
        self.clock = BrakeClock() if clock is None else clock  # for pauses and for all counts of brakes
        self._reading = runtime.lock()  # held while the second connection is read
        self._fault: str | None = None  # why the last write failed
        self._read_fault: str | None = None  # why a read failed, until the file is found to be sound
        self._written_at = float("-inf")  # monotonic
        self.mirrors = MirrorLedger(self._read, self._write)
        self._shelf = IncidentQueries(self._read)
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

    # -- alerts ------------------------------------------------------------------------------------------------

    def accept(self, alerts: Iterable[AlertRow]) -> list[int]:
        """Store alerts, all or none, and return their ids."""
        now = runtime.wall_time()
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
        """Attach alerts to an incident, all in one write: a long incident has thousands."""
        with self._write() as db:
            db.executemany("UPDATE alerts SET incident=? WHERE id=?", [(incident, alert) for alert in alerts])

    def unattended(self, service: str, verdict: str) -> list[int]:
        """Return the alerts of a service with this verdict that belong to no incident."""
        rows = self._read(
            "SELECT id FROM alerts WHERE service=? AND verdict=? AND incident IS NULL", service, verdict
        )
        return [int(row["id"]) for row in rows]

    # -- incidents ---------------------------------------------------------------------------------------------

    def open_incident(self, service: str, trigger: str) -> int:
        """Open an incident for a service, or return the one that is open."""
        with self._write() as db:
            row = db.execute(
                "SELECT id FROM incidents WHERE service=? AND closed_at IS NULL", (service,)
            ).fetchone()
            if row is not None:
                return int(row["id"])
            holder = db.execute("SELECT host FROM holders WHERE service=?", (service,)).fetchone()
            cursor = db.execute(
                "INSERT INTO incidents (service, opened_at, trigger, holder_before) VALUES (?,?,?,?)",
                (service, runtime.wall_time(), trigger, holder["host"] if holder else None),
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
        """Record an event of an incident; it is durable on return."""
        with self._write() as db:
            db.execute(
                "INSERT INTO events (incident, at, kind, step, host, text, seconds, data) VALUES (?,?,?,?,?,?,?,?)",
                (
                    incident,
                    runtime.wall_time(),
                    kind,
                    step,
                    host,
                    text,
                    seconds,
                    json.dumps(data) if data else None,
                ),
            )

    def close_incident(self, incident: int, outcome: str, reason: str) -> int:
        """Close an incident with its outcome code and its reason; return its number from now on.

        The number changes if the incident found nothing, like the previous one: it is then merged into that one.
        """
        with self._write() as db:
            before = repeated_incident(db, incident) if outcome == "nothing" else None
            if before is not None:
                merge_into_previous(db, incident, before, reason)
                return before
            db.execute(
                "UPDATE incidents SET closed_at=?, outcome=?, reason=? WHERE id=? AND closed_at IS NULL",
                (runtime.wall_time(), outcome, reason, incident),
            )
            return incident

    def ending(self, incident: int) -> tuple[str, str] | None:
        """Return the outcome of a closed incident and its reason; None while it is open."""
        rows = self._read(
            "SELECT outcome, reason FROM incidents WHERE id=? AND closed_at IS NOT NULL", incident
        )
        return (rows[0]["outcome"], rows[0]["reason"]) if rows else None

    def interrupted_step(self, incident: int) -> str | None:
        """Return the step that was running when an incident's worker stopped; None if none was."""
        rows = self._read("SELECT step, host FROM events WHERE incident=? ORDER BY id DESC LIMIT 1", incident)
        if not rows or rows[0]["step"] is None:
            return None  # a decision came after the last step: it was only waiting or checking
        return f"{rows[0]['step']} on {rows[0]['host']}"

    def holder_before(self, incident: int) -> str | None:
        """Return the holder of the service when an incident was opened."""
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
        return self._shelf.whole(service, limit)

    def incident(self, number: int) -> dict[str, Any] | None:
        """Return one incident with its alerts and events; None if there is none with that number."""
        return self._shelf.one(number)

    def alerts(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the stored alerts, newest first, each with its verdict."""
        return self._read("SELECT * FROM alerts ORDER BY id DESC LIMIT ?", limit)

    def fenced(self, host: str) -> tuple[float, str] | None:
        """Return when a host was last fenced (seconds since the epoch) and what was found.

        None if it never was, or if its gate has answered since and the host is therefore on again.
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

    def prune(self, some: Callable[[sqlite3.Connection], Pruned]) -> Pruned:
        """Delete old rows in one transaction; retention.py decides which."""
        with self._write() as db:
            return some(db)

    # -- holders -----------------------------------------------------------------------------------------------

    def holder(self, service: str) -> Holder:
        """Return the holder of a service as far as the journal knows; epoch 0 if it has never known one."""
        rows = self._read("SELECT host, epoch, since FROM holders WHERE service=?", service)
        return Holder(**rows[0]) if rows else Holder(None, 0, 0.0)

    def holders(self) -> dict[str, str]:
        """Return the holder of each service for which one is known."""
        rows = self._read("SELECT service, host FROM holders WHERE host IS NOT NULL")
        return {row["service"]: row["host"] for row in rows}

    def set_epoch(self, service: str, epoch: int) -> None:
        """Store a new epoch before the first step under it; epochs only grow."""
        with self._write() as db:
            db.execute(
                "INSERT INTO holders (service, host, epoch, since) VALUES (?,NULL,?,?)"
                " ON CONFLICT(service) DO UPDATE SET epoch=max(epoch, excluded.epoch)",
                (service, epoch, runtime.wall_time()),
            )

    def reset_epoch(self, service: str, epoch: int) -> None:
        """Replace a damaged epoch; `set_epoch` never lowers one."""
        with self._write() as db:
            db.execute("UPDATE holders SET epoch=? WHERE service=?", (epoch, service))

    def set_holder(self, service: str, host: str, epoch: int) -> None:
        """Store the new holder of a service."""
        with self._write() as db:
            db.execute(
                "INSERT INTO holders (service, host, epoch, since) VALUES (?,?,?,?) ON CONFLICT(service)"
                " DO UPDATE SET host=excluded.host, epoch=max(epoch, excluded.epoch), since=excluded.since",
                (service, host, epoch, runtime.wall_time()),
            )

    def count_takeover(self, service: str, incident: int) -> None:
        """Count a takeover before it begins: one that fails half-way uses the budget too."""
        with self._write() as db:
            db.execute(
                "INSERT INTO takeovers (service, at, incident) VALUES (?,?,?)",
                (service, self.clock.now(), incident),
            )

    def uncount(self, what: Counted, incident: int) -> None:
        """Delete an incident's last count, because nothing was moved after all."""
        last = f"SELECT max(rowid) FROM {what} WHERE incident=?"  # noqa: S608 - one of two names
        with self._write() as db:
            db.execute(f"DELETE FROM {what} WHERE rowid=({last})", (incident,))  # noqa: S608

    def unconfirmed(self, service: str) -> frozenset[str]:
        """Return the hosts that may still hold a service: the last step on them was never confirmed."""
        rows = self._read(
            "SELECT e.host AS host, e.kind AS kind, max(e.id) FROM events e CROSS JOIN incidents i"
            " WHERE (e.step IN ('claim', 'start', 'release', 'fence') OR e.kind='confirmed')"
            " AND e.kind<>'hook' AND i.id=e.incident AND i.service=? GROUP BY e.host",
            service,
        )
        return frozenset(row["host"] for row in rows if row["kind"] in _UNCONFIRMED)

    def takeovers_since(self, service: str, since: float) -> int:
        """Count the takeovers of a service begun after `since` (of `clock`)."""
        (row,) = self._read("SELECT count(*) AS n FROM takeovers WHERE service=? AND at>?", service, since)
        return int(row["n"])

    def takeover_done(self, service: str, incident: int) -> None:
        """Record that the takeover an incident counted last has made a standby the holder."""
        with self._write() as db:
            db.execute(
                "UPDATE takeovers SET done_at=? WHERE rowid="
                "(SELECT max(rowid) FROM takeovers WHERE service=? AND incident=?)",
                (self.clock.now(), service, incident),
            )

    def last_takeover(self, service: str) -> float | None:
        """Return when a standby last became the holder (of `clock`); None if none has."""
        (row,) = self._read("SELECT max(done_at) AS at FROM takeovers WHERE service=?", service)
        at: float | None = row["at"]
        return at

    def count_respawn(self, service: str, host: str, incident: int) -> None:
        """Count a respawn before it begins."""
        with self._write() as db:
            db.execute("INSERT INTO respawns VALUES (?,?,?,?)", (service, host, self.clock.now(), incident))

    def respawns_since(self, service: str, since: float) -> dict[str, int]:
        """Count the respawns of a service begun after `since` (of `clock`), by host."""
        rows = self._read(
            "SELECT host, count(*) AS n FROM respawns WHERE service=? AND at>? GROUP BY host", service, since
        )
        return {row["host"]: row["n"] for row in rows}

    # -- planned moves -----------------------------------------------------------------------------------------

    def begin_move(self, incident: int, service: str, move: Move) -> None:
        """Record a requested move, and who requested it, before the first check."""
        asked = (move.verb, move.target, move.asked_by, move.reason, move.despite_pause)
        with self._write() as db:
            db.execute("INSERT INTO moves VALUES (?,?,?,?,?,?,?,NULL)", (incident, service, *asked))

    def move_done(self, incident: int, target: str) -> None:
        """Record that a move has made its target the holder."""
        with self._write() as db:
            db.execute(
                "UPDATE moves SET target=?, done_at=? WHERE incident=?", (target, self.clock.now(), incident)
            )

    def move_of(self, incident: int) -> Move | None:
        """Return the planned move of an incident; None if it is a fault."""
        rows = self._read(
            "SELECT verb, target, asked_by, reason, despite_pause FROM moves WHERE incident=?", incident
        )
        return Move(**{**rows[0], "despite_pause": bool(rows[0]["despite_pause"])}) if rows else None

    def last_move(self, service: str) -> MoveDone | None:
        """Return the last completed planned move of a service."""
        rows = self._read(
            "SELECT incident, verb, target, asked_by, done_at FROM moves"
            " WHERE service=? AND done_at IS NOT NULL ORDER BY incident DESC LIMIT 1",
            service,
        )
        return MoveDone(**rows[0]) if rows else None

    def has_unseen_changes(self, service: str, host: str) -> bool:
        """Return whether a host lost a service in a takeover and has not been mirrored to since.

        Data that it wrote between its last mirror run and the takeover may then exist nowhere else.
        """
        (row,) = self._read(
            "SELECT max(t.at) AS lost_at, (SELECT max(started_at) FROM mirror_runs WHERE service=?"
            " AND destination=? AND outcome='done') AS mirrored_at FROM takeovers t"
            " JOIN incidents i ON i.id=t.incident WHERE t.service=? AND i.holder_before=?"
            " AND t.done_at IS NOT NULL",
            service, host, service, host,
        )  # fmt: skip
        return row["lost_at"] is not None and row["lost_at"] > (row["mirrored_at"] or 0.0)

    # -- pauses ------------------------------------------------------------------------------------------------

    def begin_pause(self, service: str, seconds: float, reason: str) -> Pause:
        """Pause a service from now on, replacing an existing pause."""
        now = self.clock.now()
        with self._write() as db:
            db.execute("UPDATE pauses SET ended_at=? WHERE service=? AND ended_at IS NULL", (now, service))
            db.execute(
                "INSERT INTO pauses (service, begun_at, until, reason) VALUES (?,?,?,?)",
                (service, now, now + seconds, reason),
            )
        return self._on_the_wall(Pause(now, now + seconds, reason))

    def end_pause(self, service: str) -> bool:
        """End a service's pause; return whether there was one."""
        was_paused = self.pause(service) is not None
        with self._write() as db:
            db.execute(
                "UPDATE pauses SET ended_at=? WHERE service=? AND ended_at IS NULL",
                (self.clock.now(), service),
            )
        return was_paused

    def pause(self, service: str) -> Pause | None:
        """Return the pause of a service; None if it is not paused or the pause has ended."""
        rows = self._read(
            "SELECT begun_at, until, reason FROM pauses WHERE service=? AND ended_at IS NULL AND until>?"
            " ORDER BY id DESC LIMIT 1",
            service,
            self.clock.now(),
        )
        return self._on_the_wall(Pause(**rows[0])) if rows else None

    def _on_the_wall(self, pause: Pause) -> Pause:
        """Return a pause with its times converted to the wall clock, for people."""
        begun_at, until = map(self.clock.on_the_wall, (pause.begun_at, pause.until))
        return Pause(begun_at, until, pause.reason)

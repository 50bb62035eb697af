"""The durable journal: accepted alerts, incidents, each step before and after it ran, and holders."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from locum_actuator.journal.brake_counts import BrakeCounts
from locum_actuator.journal.database import JournalDatabase
from locum_actuator.journal.incidents import IncidentQueries
from locum_actuator.journal.mirror_runs import MirrorLedger
from locum_actuator.journal.moves import PlannedMoves
from locum_actuator.journal.pauses import Pauses
from locum_actuator.journal.repeated_looks import merge_into_previous, repeated_incident
from locum_actuator.system import runtime

Pruned = TypeVar("Pruned")

_UNCONFIRMED = frozenset({"started", "failed", "undo_failed"})


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


class Journal(JournalDatabase):
    """The journal in one file. Threads may share it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.counts = BrakeCounts(self._read, self._write, self.clock)
        self.moves = PlannedMoves(self._read, self._write, self.clock)
        self.pauses = Pauses(self._read, self._write, self.clock)
        self.mirrors = MirrorLedger(self._read, self._write)
        self._incidents = IncidentQueries(self._read)

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
        return self._incidents.whole(service, limit)

    def incident(self, number: int) -> dict[str, Any] | None:
        """Return one incident with its alerts and events; None if there is none with that number."""
        return self._incidents.one(number)

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

    def unconfirmed(self, service: str) -> frozenset[str]:
        """Return the hosts that may still hold a service: the last step on them was never confirmed."""
        rows = self._read(
            "SELECT e.host AS host, e.kind AS kind, max(e.id) FROM events e CROSS JOIN incidents i"
            " WHERE (e.step IN ('claim', 'start', 'release', 'fence') OR e.kind='confirmed')"
            " AND e.kind<>'hook' AND i.id=e.incident AND i.service=? GROUP BY e.host",
            service,
        )
        return frozenset(row["host"] for row in rows if row["kind"] in _UNCONFIRMED)

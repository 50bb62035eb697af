"""Read incidents from the journal: complete with alerts and events, or as plain rows for a list."""

from __future__ import annotations

import json
from typing import Any

from locum_actuator.journal.database import Read
from locum_actuator.journal.incident_summary import holder_after, impact

ALERTS_TOLD = 100  # returned per incident: a long one has thousands
AT_ONCE = 500  # incidents per query: SQLite accepts at least 999 values


class IncidentQueries:
    """Reads incidents; `read` runs one SELECT and returns its rows."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def whole(self, service: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Return incidents, newest first, each with its alerts and events."""
        where, values = ("WHERE service=?", (service,)) if service else ("", ())
        rows = self._read(f"SELECT * FROM incidents {where} ORDER BY id DESC LIMIT ?", *values, limit)  # noqa: S608
        return self._filled(rows)

    def one(self, number: int) -> dict[str, Any] | None:
        """Return one incident with its alerts and events; None if there is none with that number."""
        row = self.row(number)
        return None if row is None else self._filled([row])[0]

    def row(self, number: int) -> dict[str, Any] | None:
        """Return one incident without alerts and events; None if there is none with that number."""
        rows = self._read("SELECT * FROM incidents WHERE id=?", number)
        return rows[0] if rows else None

    def open_rows(self) -> list[dict[str, Any]]:
        """Return the open incidents, newest first, without alerts and events."""
        return self._read("SELECT * FROM incidents WHERE closed_at IS NULL ORDER BY id DESC")

    def rows(
        self, service: str | None = None, before: int | None = None, limit: int = 20
    ) -> list[dict[str, Any]]:
        """Return incidents older than `before`, newest first, without reading alerts and events."""
        return self._read(
            "SELECT * FROM incidents WHERE (? IS NULL OR service=?) AND (? IS NULL OR id<?)"
            " ORDER BY id DESC LIMIT ?",
            service, service, before, before, limit,
        )  # fmt: skip

    def _filled(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add alerts, events and moves to incidents, with one query per table for all of them."""
        alerts = self._of(
            rows,
            "SELECT * FROM (SELECT incident, received_at, name, host, status, starts_at, verdict,"
            " row_number() OVER (PARTITION BY incident ORDER BY id) AS place,"
            " count(*) OVER (PARTITION BY incident) AS alert_count"
            " FROM alerts WHERE incident IN ({})) WHERE place<=? ORDER BY incident, place",
            ALERTS_TOLD,
        )
        events = self._of(
            rows,
            "SELECT incident, at, kind, step, host, text, seconds, data FROM events"
            " WHERE incident IN ({}) ORDER BY incident, id",
        )
        moves = self._of(
            rows,
            "SELECT incident, verb, target, asked_by, reason, done_at IS NOT NULL AS done FROM moves"
            " WHERE incident IN ({})",
        )
        for row in rows:
            returned = alerts[row["id"]]
            row["alert_count"] = returned[0]["alert_count"] if returned else 0
            row["alerts"] = [_without(alert, "place", "alert_count") for alert in returned]
            row["events"] = events[row["id"]]
            for event in row["events"]:
                event["data"] = json.loads(event["data"]) if event["data"] else None
            # What was requested, for a planned move; None for a fault.
            row["planned"] = next(({**move, "done": bool(move["done"])} for move in moves[row["id"]]), None)
            row["holder_after"] = holder_after(row)
            row["impact"] = impact(row)
        return rows

    def _of(self, rows: list[dict[str, Any]], sql: str, *values: object) -> dict[int, list[dict[str, Any]]]:
        """Return the rows of each incident, by its number; `sql` has `{}` in place of the numbers."""
        found: dict[int, list[dict[str, Any]]] = {row["id"]: [] for row in rows}
        for begin in range(0, len(rows), AT_ONCE):
            numbers = [row["id"] for row in rows[begin : begin + AT_ONCE]]
            for one in self._read(sql.format(",".join("?" * len(numbers))), *numbers, *values):
                found[one["incident"]].append(_without(one, "incident"))
        return found


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}

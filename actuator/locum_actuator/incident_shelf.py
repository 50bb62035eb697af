"""The incidents as the journal has them: whole, with alerts and events, or as bare rows for a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from locum_actuator.incident_story import holder_after, impact

ALERTS_TOLD = 100  # of one incident: a long one gathers thousands

Read = Callable[..., list[dict[str, Any]]]


class IncidentShelf:
    """Reads incidents; `read` runs one SELECT and returns its rows."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def whole(self, service: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Return incidents, newest first, each with its alerts and events."""
        where, values = ("WHERE service=?", (service,)) if service else ("", ())
        rows = self._read(f"SELECT * FROM incidents {where} ORDER BY id DESC LIMIT ?", *values, limit)  # noqa: S608
        return [self._filled(row) for row in rows]

    def one(self, number: int) -> dict[str, Any] | None:
        """Return one incident with its alerts and events; None where there is none of that number."""
        row = self.row(number)
        return None if row is None else self._filled(row)

    def row(self, number: int) -> dict[str, Any] | None:
        """Return one incident without alerts and events; None where there is none of that number."""
        rows = self._read("SELECT * FROM incidents WHERE id=?", number)
        return rows[0] if rows else None

    def open_rows(self) -> list[dict[str, Any]]:
        """Return the open incidents, newest first, without alerts and events."""
        return self._read("SELECT * FROM incidents WHERE closed_at IS NULL ORDER BY id DESC")

    def rows(
        self, service: str | None = None, before: int | None = None, limit: int = 20
    ) -> list[dict[str, Any]]:
        """Return incidents older than `before`, newest first, without alerts and events: none of these is read."""
        return self._read(
            "SELECT * FROM incidents WHERE (?1 IS NULL OR service=?1) AND (?2 IS NULL OR id<?2)"
            " ORDER BY id DESC LIMIT ?3",
            service,
            before,
            limit,
        )

    def _filled(self, row: dict[str, Any]) -> dict[str, Any]:
        row["alerts"] = self._read(
            "SELECT received_at, name, host, status, starts_at, verdict FROM alerts"
            " WHERE incident=? ORDER BY id LIMIT ?",
            row["id"],
            ALERTS_TOLD,
        )
        row["events"] = self._read(
            "SELECT at, kind, step, host, text, seconds, data FROM events WHERE incident=? ORDER BY id",
            row["id"],
        )
        for event in row["events"]:
            event["data"] = json.loads(event["data"]) if event["data"] else None
        row["planned"] = self._planned(row["id"])
        row["alert_count"] = self._alert_count(row)
        row["holder_after"] = holder_after(row)
        row["impact"] = impact(row)
        return row

    def _alert_count(self, row: dict[str, Any]) -> int:
        if len(row["alerts"]) < ALERTS_TOLD:
            return len(row["alerts"])
        (counted,) = self._read("SELECT count(*) AS count FROM alerts WHERE incident=?", row["id"])
        return int(counted["count"])

    def _planned(self, incident: int) -> dict[str, Any] | None:
        """Return of a planned move what was asked for, in plain values; None for a fault."""
        rows = self._read(
            "SELECT verb, target, asked_by, reason, done_at IS NOT NULL AS done FROM moves WHERE incident=?",
            incident,
        )
        return {**rows[0], "done": bool(rows[0]["done"])} if rows else None

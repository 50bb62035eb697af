"""Merge consecutive incidents of one trigger and holder that found nothing into one, which counts the checks.

A lasting alert for a service that answers the actuator wakes it every few seconds: a thousand incidents without
result would hide the one that matters. All alerts are kept, and belong to the merged incident.
"""

from __future__ import annotations

import sqlite3

from locum_actuator.system import runtime

WITHIN_SECONDS = 3600.0  # if the previous one ended longer ago, they stay separate


def repeated_incident(db: sqlite3.Connection, incident: int) -> int | None:
    """Return the previous incident if this one, which found nothing, repeats it.

    That is the previous incident, if both had the same trigger and holder, neither ran a step, and the first check
    of this one found nothing.
    """
    events, steps = db.execute(
        "SELECT count(*), count(step) FROM events WHERE incident=?", (incident,)
    ).fetchone()
    if events > 1 or steps > 0:  # more than one decision: it was checked again, interrupted, or a step ran
        return None
    found = db.execute(
        "SELECT before.id FROM incidents AS this JOIN incidents AS before"
        " ON before.id=(SELECT max(id) FROM incidents WHERE service=this.service AND id<this.id)"
        " WHERE this.id=? AND before.outcome='nothing' AND before.trigger=this.trigger"
        " AND before.holder_before IS this.holder_before AND abs(this.opened_at-before.closed_at)<?"
        " AND NOT EXISTS (SELECT 1 FROM events WHERE incident=before.id AND step IS NOT NULL)",
        (incident, WITHIN_SECONDS),
    ).fetchone()
    return None if found is None else int(found[0])


def merge_into_previous(db: sqlite3.Connection, incident: int, before: int, reason: str) -> None:
    """Merge an incident into the previous one, which gets its check, alerts, reason and time of closing."""
    db.execute("UPDATE alerts SET incident=? WHERE incident=?", (before, incident))
    db.execute("DELETE FROM events WHERE incident=?", (incident,))
    db.execute("DELETE FROM incidents WHERE id=?", (incident,))
    db.execute(
        "UPDATE incidents SET looks=looks+1, closed_at=?, reason=? WHERE id=?",
        (runtime.wall_time(), reason, before),
    )

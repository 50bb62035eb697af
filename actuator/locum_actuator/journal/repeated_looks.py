"""Merge consecutive incidents that found nothing for the same reason into one, which counts the checks.

A lasting alert for a service that answers the actuator wakes it every few seconds: a thousand incidents without
result would hide the one that matters. All alerts are kept, and belong to the merged incident.
"""

from __future__ import annotations

import sqlite3

from locum_actuator.system import runtime

WITHIN_SECONDS = 3600.0  # after a pause this long a new incident is opened


def repeated(db: sqlite3.Connection, incident: int) -> int | None:
    """Return the earlier incident that an incident without result repeats; None if it does not.

    That is the previous incident, if both had the same trigger and holder, neither ran a step, and the first check
    of this one found nothing.
    """
    events, steps = db.execute(
        "SELECT count(*), count(step) FROM events WHERE incident=?", (incident,)
    ).fetchone()
    if events > 1 or steps > 0:  # its first check found something
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
    """Merge an incident into the previous one, which counts one more check and gets its alerts and reason."""
    db.execute("UPDATE alerts SET incident=? WHERE incident=?", (before, incident))
    db.execute("DELETE FROM events WHERE incident=?", (incident,))
    db.execute("DELETE FROM incidents WHERE id=?", (incident,))
    db.execute(
        "UPDATE incidents SET looks=looks+1, closed_at=?, reason=? WHERE id=?",
        (runtime.wall_time(), reason, before),
    )

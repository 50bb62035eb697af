"""Looks that found nothing, one after the other for the same reason, are one incident, which counts them.

An alert that lasts for a service that answers us wakes the actuator every few seconds: a thousand incidents that
say "nothing" would bury the one that does not. Its alerts all stay, and belong to the one incident.
"""

from __future__ import annotations

import sqlite3

from locum_actuator.system import runtime

WITHIN_SECONDS = 3600.0  # after so long a pause it is news again


def repeated(db: sqlite3.Connection, incident: int) -> int | None:
    """Return the incident that a look which found nothing only repeats; None where it has something to tell.

    That is the one right before it, where both were woken by the same and with the same holder, neither ran a
    step, and this one's first look found nothing.
    """
    events, steps = db.execute(
        "SELECT count(*), count(step) FROM events WHERE incident=?", (incident,)
    ).fetchone()
    if events > 1 or steps > 0:  # its first look found something
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
    """Count an incident as one more look of the one before, which takes its alerts; the latest reason stands."""
    db.execute("UPDATE alerts SET incident=? WHERE incident=?", (before, incident))
    db.execute("DELETE FROM events WHERE incident=?", (incident,))
    db.execute("DELETE FROM incidents WHERE id=?", (incident,))
    db.execute(
        "UPDATE incidents SET looks=looks+1, closed_at=?, reason=? WHERE id=?",
        (runtime.wall_time(), reason, before),
    )

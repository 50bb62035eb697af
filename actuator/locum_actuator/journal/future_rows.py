"""Correct rows dated in the future, left behind when the wall clock was set back.

The newest row that holds locum back (takeover, respawn, pause) then counts as now, and the others keep their
distance from it. A clock that is an hour or fifty years behind thus restarts a cooldown or a pause, but does not
prolong it.
"""

from __future__ import annotations

import sqlite3

_MOMENTS = {
    "takeovers": ("at", "done_at"),
    "respawns": ("at",),
    "pauses": ("begun_at", "until", "ended_at"),
}
_HAPPENED = {**_MOMENTS, "pauses": ("begun_at", "ended_at")}  # a pause may end in the future


def clamp_to_now(db: sqlite3.Connection, now: float) -> float:
    """Move the rows so that none of them began after `now`; return by how many seconds.

    All times are in seconds since the epoch. Raises `sqlite3.Error`.
    """
    looked = " UNION ALL ".join(
        f"SELECT max({column}) AS at FROM {table}"  # noqa: S608 - names from above
        for table, columns in _HAPPENED.items()
        for column in columns
    )
    (newest,) = db.execute(f"SELECT max(at) FROM ({looked})").fetchone()  # noqa: S608
    if newest is None or newest <= now:
        return 0.0
    ahead = float(newest) - now
    db.execute("BEGIN IMMEDIATE")
    try:
        for table, columns in _MOMENTS.items():
            changed = ", ".join(f"{column}={column}-:ahead" for column in columns)
            db.execute(f"UPDATE {table} SET {changed}", {"ahead": ahead})  # noqa: S608
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return ahead

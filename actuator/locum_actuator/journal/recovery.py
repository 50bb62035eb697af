"""Open the journal; replace a corrupt one by a new journal in which every service is paused.

A lost journal no longer shows which host holds each service, nor how many takeovers the last hour has had. Checks
can find out the first, but not the second, so every service is paused until a person resumes it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.system import runtime
from locum_actuator.system.local_time import utc_stamp

log = logging.getLogger(__name__)

BEGUN_ANEW = "the journal was corrupt"  # the beginning of the reason of such a pause
_UNTIL_RESUMED_SECONDS = 100 * 365 * 86400.0
_CORRUPT_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_journal(path: Path, services: Iterable[str]) -> Journal:
    """Return the journal; raises `JournalError` if it cannot be opened for a reason other than corruption."""
    why = corruption(path)
    if why is not None:
        _replace(path, why, services)
    return Journal(path)


def corruption(path: Path) -> str | None:
    """Return how a journal is corrupt; None if it is sound, does not exist, or cannot be checked."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as db:
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as fault:
        # Any other fault (no read permission, disk errors) is reported when it is opened; no file is moved.
        return str(fault) if getattr(fault, "sqlite_errorcode", 0) & 0xFF in _CORRUPT_CODES else None
    return None if verdict == "ok" else str(verdict)


def _replace(path: Path, why: str, services: Iterable[str]) -> None:
    """Replace the corrupt journal by a new one in which every service is paused.

    The corrupt file keeps its name until the new one takes it, so that a crash in between does not lead to a
    journal without pauses.
    """
    kept = path.with_name(f"{path.name}.corrupt-{utc_stamp(runtime.wall_time())}")
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        with closing(Journal(new)) as journal:
            for service in services:
                then = f"check which host holds {service}, then run locum resume {service}"
                journal.pauses.begin(
                    service, _UNTIL_RESUMED_SECONDS, f"{BEGUN_ANEW} and is kept as {kept}: {then}"
                )
        if not kept.exists():
            os.link(path, kept)
        for ending in ("-wal", "-shm"):
            companion = path.with_name(path.name + ending)
            if companion.exists():
                companion.rename(kept.with_name(kept.name + ending))
        new.rename(path)
    except OSError as fault:
        raise JournalError(f"{path}: is corrupt ({why}) and cannot be kept aside: {fault}") from fault
    log.critical(
        "the journal was corrupt (%s): it is kept as %s, and a new one was created; every service is paused until a"
        " person checks which host holds it, and runs locum resume SERVICE, or locum resume --all",
        why,
        kept,
        extra={"event": "journal_begun_anew"},
    )

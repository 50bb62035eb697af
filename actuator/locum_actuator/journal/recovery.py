"""Open the journal; one that is corrupt is kept aside and begun anew, and nothing is done until a person says so.

A lost journal no longer says who holds what, nor what has been spent of the takeovers an hour may see. Looking
tells the first, nobody the second: so every service is paused, without an end that anybody would live to see.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from locum_actuator.journal.journal import Journal, JournalError
from locum_actuator.system import runtime
from locum_actuator.system.local_time import utc_stamp

log = logging.getLogger(__name__)

BEGUN_ANEW = "the journal was corrupt"  # how the reason of such a pause begins
_UNTIL_RESUMED_SECONDS = 100 * 365 * 86400.0
_CORRUPT_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_journal(path: Path, services: Iterable[str]) -> Journal:
    """Return the journal; raises `JournalError` where it cannot be opened for another reason than corruption."""
    why = corruption(path)
    if why is not None:
        _begin_anew(path, why, services)
    return Journal(path)


def corruption(path: Path) -> str | None:
    """Return in words how a journal is corrupt; None where it is sound, not there yet, or cannot be looked at."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as db:
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as fault:
        # Any other fault (no right to read, a disk that gives errors) is told when it is opened: nothing is moved.
        return str(fault) if getattr(fault, "sqlite_errorcode", 0) & 0xFF in _CORRUPT_CODES else None
    return None if verdict == "ok" else str(verdict)


def _begin_anew(path: Path, why: str, services: Iterable[str]) -> None:
    """Put a new journal, in which every service is paused, in the place of the corrupt one.

    The corrupt one keeps its name until the new one takes it: to die in between must not lead to a journal without
    pauses.
    """
    kept = path.with_name(f"{path.name}.corrupt-{utc_stamp(runtime.wall_time())}")
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        with closing(Journal(new)) as journal:
            for service in services:
                then = f"see who holds {service}; then locum resume {service}"
                journal.begin_pause(
                    service, _UNTIL_RESUMED_SECONDS, f"{BEGUN_ANEW} and is kept as {kept}: {then}"
                )
        if not kept.exists():
            os.link(path, kept)
        for ending in ("-wal", "-shm"):
            beside = path.with_name(path.name + ending)
            if beside.exists():
                beside.rename(kept.with_name(kept.name + ending))
        new.rename(path)
    except OSError as fault:
        raise JournalError(f"{path}: is corrupt ({why}) and cannot be kept aside: {fault}") from fault
    log.critical(
        "the journal was corrupt (%s): kept as %s and begun anew; nothing is done until a person has seen who holds"
        " what, and says locum resume SERVICE, or --all",
        why,
        kept,
        extra={"event": "journal_begun_anew"},
    )

"""A journal with many past incidents, as months of service leave it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from locum_actuator.journal import database as journal_database
from locum_actuator.journal.journal import AlertRow, Journal

HOUR_SECONDS = 3600.0
STEPS = (("release", "a"), ("confirm", "b"), ("start", "b"), ("claim", "b"), ("prove", "b"))
SEEN = {
    "holders": ["a"], "strangers": [], "address_looked": True, "witnesses": {"192.0.2.254": True},
    "hosts": {
        name: {"echoes": "20/20", "gate": "answers", "processes": 3, "looks": {"b": "answered 200, 118 bytes"}}
        for name in ("a", "b")
    },
}  # fmt: skip


def fill(path: Path, service: str, incidents: int) -> None:
    """Write takeovers of a service into a journal, an hour apart, the last of them an hour ago."""
    journal_database.SYNCHRONOUS = "OFF"  # nothing is lost that could not be written again
    journal = Journal(path)
    for _ in range(incidents):
        number = journal.open_incident(service, "LocumServiceDown")
        row = AlertRow("LocumServiceDown", service, "a", "firing", None, f"f{number}", "woke the worker")
        journal.attach(journal.accept([row] * 3), number)
        plan = {"plan": [f"{step} on {host}" for step, host in STEPS], "seen": SEEN}
        journal.note(number, "decided", "takeover: the service on a does not answer", data=plan)
        for step, host in STEPS:
            journal.note(number, "started", "epoch 2", step=step, host=host)
            journal.note(number, "done", f"{step} is so, as was looked", step=step, host=host, seconds=0.1)
        journal.close_incident(number, "takeover", "the service on a does not answer though the host does")
    journal.close()
    with sqlite3.connect(path) as database:
        ago = f"({incidents + 1}-%s)*{HOUR_SECONDS}"
        for table, columns, whose in (
            ("incidents", ("opened_at", "closed_at"), "id"),
            ("events", ("at",), "incident"),
            ("alerts", ("received_at",), "incident"),
        ):
            changes = ", ".join(f"{column}={column}-{ago % whose}" for column in columns)
            database.execute(f"UPDATE {table} SET {changes}")
    database.close()

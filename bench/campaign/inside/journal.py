"""Prints what the campaign needs of a journal, as one line of JSON. Run as the user that owns it.

Usage: journal.py PATH
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from typing import Any

QUERIES = {
    "alerts": "SELECT * FROM alerts",
    "incidents": "SELECT * FROM incidents",
    "events": "SELECT id, incident, at, kind, step, host, text, seconds FROM events ORDER BY id",
}


def main() -> None:
    """Print it all."""
    with closing(sqlite3.connect(f"file:{sys.argv[1]}?mode=rw", uri=True, timeout=5)) as journal:
        journal.row_factory = sqlite3.Row
        journal.execute("BEGIN")  # one moment for all of them
        found: dict[str, list[dict[str, Any]]] = {
            name: [dict(row) for row in journal.execute(sql)] for name, sql in QUERIES.items()
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

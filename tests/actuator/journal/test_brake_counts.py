"""Takeovers and respawns are counted by service, host and time."""

from __future__ import annotations

import time
from pathlib import Path

from locum_actuator.journal.journal import Journal


def test_takeovers_are_counted_by_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.counts.count_takeover("www", 1)
    assert journal.counts.takeovers_since("www", 0) == 1
    assert journal.counts.takeovers_since("www", 1e12) == 0
    assert journal.counts.takeovers_since("mail", 0) == 0


def test_respawns_are_counted_by_host(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for host in ("a", "a", "b"):
        journal.counts.count_respawn("www", host, 1)
    assert journal.counts.respawns_since("www", 0) == {"a": 2, "b": 1}
    assert journal.counts.respawns_since("www", 1e12) == {}


def test_only_a_takeover_that_ended_well_is_the_last_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.counts.count_takeover("www", 1)
    assert journal.counts.last_takeover("www") is None
    journal.counts.count_takeover("www", 1)
    journal.counts.takeover_done("www", 1)
    assert time.time() - (journal.counts.last_takeover("www") or 0) < 5

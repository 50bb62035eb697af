"""Pauses in the journal: they end at their time or when a person ends them, and a new one replaces the old."""

from __future__ import annotations

import time
from pathlib import Path

from locum_actuator.journal.journal import Journal


def test_a_pause_ends_by_itself_or_when_it_is_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    begun = journal.pauses.begin("www", 3600, "new kernel")
    assert journal.pauses.current("www") == begun
    assert begun.until == begun.begun_at + 3600
    assert journal.pauses.current("mail") is None
    assert journal.pauses.end("www")
    assert journal.pauses.current("www") is None
    assert not journal.pauses.end("www")
    journal.pauses.begin("www", 0.05, "short")
    time.sleep(0.06)
    assert journal.pauses.current("www") is None
    assert not journal.pauses.end("www"), "it had ended"


def test_another_pause_takes_the_place_of_the_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.pauses.begin("www", 3600, "long")
    journal.pauses.begin("www", 0.05, "short")
    time.sleep(0.06)
    assert journal.pauses.current("www") is None, "the first must not come back when the second ends"

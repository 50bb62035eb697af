"""The journal's file: what is no journal of this version is left alone, and an older one is kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Holder, Journal
from locum_actuator.journal.schema import VERSIONS


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="the journal cannot be opened"):
        Journal(tmp_path / "file" / "journal.sqlite")


def test_garbage_is_not_a_journal(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"not a database" * 1000)
    with pytest.raises(JournalError, match="the journal cannot be opened: file is not a database"):
        Journal(tmp_path / "j")


def test_a_journal_of_another_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(JournalError, match="written by another version of locum"):
        Journal(tmp_path / "j")


def test_a_journal_of_the_first_version_goes_on_as_it_was(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j") as db:
        db.executescript(f"BEGIN; {VERSIONS[0]} PRAGMA user_version=1; COMMIT;")
        db.execute("INSERT INTO holders VALUES ('www', 'b', 7, 1.0)")
        db.execute("INSERT INTO takeovers VALUES ('www', 2.0, 1)")
    db.close()
    journal = Journal(tmp_path / "j")
    assert journal.holder("www") == Holder("b", 7, 1.0)
    assert journal.counts.takeovers_since("www", 0) == 1
    assert journal.counts.last_takeover("www") is None, "the first version did not note how a takeover ended"
    assert journal.pauses.begin("www", 60, "x").reason == "x"
    journal.close()
    assert Journal(tmp_path / "j").pauses.current("www") is not None

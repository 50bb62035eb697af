"""The journal: durable, one open incident a service, epochs that only grow."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from locum_actuator.journal.journal import AlertRow, Holder, Journal, JournalError
from locum_actuator.journal.schema import VERSIONS

ALERT = AlertRow("LocumServiceDown", "www", "a", "firing", None, None, "woke the worker")


def test_one_open_incident_a_service(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    first = journal.open_incident("www", "x")
    assert journal.open_incident("www", "y") == first
    assert journal.open_incident("mail", "x") != first
    journal.close_incident(first, "nothing", "it was well")
    assert journal.open_incident("www", "z") != first


def test_threads_open_one_incident_between_them(tmp_path: Path) -> None:
    journal, found = Journal(tmp_path / "j"), []
    threads = [
        threading.Thread(target=lambda: found.append(journal.open_incident("www", "x"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_epochs_only_grow(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.set_holder("www", "a", 7)
    journal.set_epoch("www", 3)
    journal.set_holder("www", "b", 4)
    assert (journal.holder("www").host, journal.holder("www").epoch) == ("b", 7)


def test_alerts_are_written_all_or_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")

    def broken() -> object:
        yield ALERT
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        journal.accept(broken())  # type: ignore[arg-type]
    assert journal.alerts() == []


def test_what_was_accepted_survives_kill_9(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from locum_actuator.journal.journal import AlertRow, Journal\n"
        "j = Journal(Path(sys.argv[1]))\n"
        "j.accept([AlertRow('LocumServiceDown', 'www', 'a', 'firing', None, None, 'x')])\n"
        "n = j.open_incident('www', 'LocumServiceDown'); j.note(n, 'started', 'x', step='release', host='a')\n"
        "print('written', j._db.execute('PRAGMA synchronous').fetchone()[0], flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "j")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written 2\n", "FULL: it outlives a power loss too"
        os.kill(child.pid, signal.SIGKILL)
    journal = Journal(tmp_path / "j")
    assert len(journal.alerts()) == 1
    assert journal.open_incidents() == {"www": 1}
    assert journal.incidents()[0]["events"][0]["step"] == "release"


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


def test_takeovers_are_counted_by_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.count_takeover("www", 1)
    assert journal.takeovers_since("www", 0) == 1
    assert journal.takeovers_since("www", 1e12) == 0
    assert journal.takeovers_since("mail", 0) == 0


def test_a_journal_of_the_first_version_goes_on_as_it_was(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j") as db:
        db.executescript(f"BEGIN; {VERSIONS[0]} PRAGMA user_version=1; COMMIT;")
        db.execute("INSERT INTO holders VALUES ('www', 'b', 7, 1.0)")
        db.execute("INSERT INTO takeovers VALUES ('www', 2.0, 1)")
    db.close()
    journal = Journal(tmp_path / "j")
    assert journal.holder("www") == Holder("b", 7, 1.0)
    assert journal.takeovers_since("www", 0) == 1
    assert journal.last_takeover("www") is None, "the first version did not note how a takeover ended"
    assert journal.begin_pause("www", 60, "x").reason == "x"
    journal.close()
    assert Journal(tmp_path / "j").pause("www") is not None


def test_a_pause_ends_by_itself_or_when_it_is_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    begun = journal.begin_pause("www", 3600, "new kernel")
    assert journal.pause("www") == begun
    assert begun.until == begun.begun_at + 3600
    assert journal.pause("mail") is None
    assert journal.end_pause("www")
    assert journal.pause("www") is None
    assert not journal.end_pause("www")
    journal.begin_pause("www", 0.05, "short")
    time.sleep(0.06)
    assert journal.pause("www") is None
    assert not journal.end_pause("www"), "it had ended"


def test_another_pause_takes_the_place_of_the_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.begin_pause("www", 3600, "long")
    journal.begin_pause("www", 0.05, "short")
    time.sleep(0.06)
    assert journal.pause("www") is None, "the first must not come back when the second ends"


def test_respawns_are_counted_by_host(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for host in ("a", "a", "b"):
        journal.count_respawn("www", host, 1)
    assert journal.respawns_since("www", 0) == {"a": 2, "b": 1}
    assert journal.respawns_since("www", 1e12) == {}


def test_only_a_takeover_that_ended_well_is_the_last_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.count_takeover("www", 1)
    assert journal.last_takeover("www") is None
    journal.count_takeover("www", 1)
    journal.takeover_done("www", 1)
    assert time.time() - (journal.last_takeover("www") or 0) < 5

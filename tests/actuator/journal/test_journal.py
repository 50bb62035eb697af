"""The journal: durable, one open incident a service, epochs that only grow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from locum_actuator.journal.journal import AlertRow, Journal

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

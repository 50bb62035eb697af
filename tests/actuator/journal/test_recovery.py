"""The journal's own faults: its disk full, itself corrupt; nothing is ever done that it does not know of."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from locum_actuator.app import create_app
from locum_actuator.chain.health import PartHealth
from locum_actuator.chain.watch import look_at_journal
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.recovery import corruption, open_journal
from locum_actuator.metrics import Metrics
from tests.actuator.fakes import FakeGate, FakeWorld, KeptFakes, site
from tests.support.marks import needs_root
from tests.support.polling import wait_for

TOKEN = "a-token-of-twenty-four-c"
DOWN = {
    "version": "4",
    "alerts": [
        {"status": "firing", "labels": {"alertname": "LocumServiceDown", "service": "www", "host": "a"}}
    ],
}


def _engine(world: FakeWorld, journal: Journal) -> Engine:
    return Engine(site(), journal, Metrics(), lambda _: KeptFakes(world), lambda _site, _gates: world)


def _written(path: Path, rows: int = 300) -> None:
    """Make a journal of some pages, all of them in the file itself."""
    journal = Journal(path)
    journal.set_holder("www", "a", 7)
    number = journal.open_incident("www", "x")
    for _ in range(rows):
        journal.note(number, "looked", "x" * 200)
    journal.close_incident(number, "nothing", "it was well")
    journal.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def _a_page_overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(4, 12):
            file.seek(4096 * page)
            file.write(os.urandom(4096))


def _cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


CORRUPT: dict[str, Callable[[Path], None]] = {
    "garbage": _garbage,
    "pages overwritten": _a_page_overwritten,
    "cut off": _cut_off,
}


@pytest.mark.parametrize("spoil", CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_journal_is_kept_aside_and_everything_paused(
    spoil: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.sqlite"
    _written(path)
    spoil(path)
    spoilt = path.read_bytes()

    journal = open_journal(path, ["www", "mail"])

    (kept,) = tmp_path.glob("journal.sqlite.corrupt-*")
    assert kept.read_bytes() == spoilt
    pause = journal.pauses.current("mail")
    assert pause is not None
    assert (
        pause.reason
        == f"the journal was corrupt and is kept as {kept}: check which host holds mail, then run locum resume mail"
    )
    assert look_at_journal(journal, ["www", "mail"]) == PartHealth(
        False,
        "was corrupt and has been replaced: locum takes no action for www, mail until a person has checked which"
        " host holds what, and runs locum resume SERVICE, or --all",
    )
    (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert f"kept as {kept}, and a new one was created" in record.message
    journal.close()

    again = open_journal(path, ["www", "mail"])
    assert again.pauses.current("www") is not None, "it waits for a person, however often it is started"
    again.pauses.end("www")
    again.pauses.end("mail")
    assert look_at_journal(again, ["www", "mail"]) == PartHealth(True, "can be written")
    again.close()


def test_after_a_lost_journal_the_holder_is_seen_and_nothing_is_done(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    _garbage(path)
    world = FakeWorld({"a": FakeGate(held=True, processes=0, epoch=7), "b": FakeGate()})
    journal = open_journal(path, ["www"])
    engine = _engine(world, journal)
    engine.start()
    try:
        wait_for(lambda: any("record" in text for text in _events(journal)), "the holder is recorded")
        assert journal.holder("www").host == "a"
        assert world.gates["a"].calls == world.gates["b"].calls == []
        journal.pauses.end("www")
        engine.workers["www"].wake("resumed after a pause")
        wait_for(lambda: world.gates["a"].calls == ["respawn"], "a is asked to respawn the service")
    finally:
        engine.stop()
        journal.close()


def _events(journal: Journal) -> list[str]:
    return [event["text"] for row in journal.incidents() for event in row["events"]]


SOUND: dict[str, Callable[[Path], object]] = {
    "not there yet": lambda path: None,
    "empty": Path.touch,
    "sound": _written,
    "of a later version": lambda path: _versioned(path, 99),
    "a directory": Path.mkdir,
}


def _versioned(path: Path, version: int) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={version}")
    db.commit()
    db.close()


@pytest.mark.parametrize("make", SOUND.values(), ids=SOUND)
def test_what_is_not_corrupt_is_never_moved(make: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    make(path)
    assert corruption(path) is None
    with suppress(JournalError):
        open_journal(path, ["www"]).close()
    assert list(tmp_path.glob("*corrupt*")) == []


def test_a_write_of_late_is_proof_enough(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.set_holder("www", "a", 1)
    written = journal._written_at
    assert journal.look() is None
    assert journal._written_at == written
    journal._written_at -= 60
    assert journal.look() is None
    assert journal._written_at > written
    journal.close()


# -- the disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def _fill(disk: Path) -> Path:
    """Leave no byte free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 1024)
    return ballast


@needs_root
def test_a_full_disk_stops_everything_and_room_lets_it_go_on(small_disk: Path) -> None:
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})
    journal = Journal(small_disk / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    engine = _engine(world, journal)
    client = create_app(engine, TOKEN, None, ReloadResult).test_client()
    auth = {"Authorization": f"Bearer {TOKEN}"}
    engine.start()
    try:
        wait_for(
            lambda: journal.incidents() != [] and journal.open_incidents() == {},
            "the first incident is closed",
        )
        ballast = _fill(small_disk)
        world.gates["a"].processes = 0
        answers = [client.post("/webhook", data=json.dumps(DOWN), headers=auth) for _ in range(40)]
        assert answers[-1].status_code == 503
        assert answers[-1].json == {"error": "the journal cannot be written; send the request again"}
        accepted = sum(answer.status_code == 202 for answer in answers)
        assert len(journal.alerts(limit=100)) == accepted, "every 202 is in the journal, and nothing else is"
        assert look_at_journal(journal, ["www"]) == PartHealth(
            False, "cannot be written (database or disk is full): locum takes no action meanwhile"
        )
        world.gates["a"].processes = 0
        world.gates["a"].calls.clear()
        time.sleep(1.5)
        # To announce an address that is held already changes nothing, and needs no journal.
        assert set(world.gates["a"].calls) <= {"claim"}

        ballast.unlink()
        assert client.post("/webhook", data=json.dumps(DOWN), headers=auth).status_code == 202
        assert look_at_journal(journal, ["www"]).up is True
        wait_for(lambda: world.gates["a"].processes > 0, "the service runs on a")
    finally:
        engine.stop()
        journal.close()


def _with_a_bad_page(path: Path) -> tuple[Journal, int, bytes]:
    """Return an open journal with rubbish in the first page of its events, where that is, and what was there."""
    with closing(Journal(path)) as made:
        made.set_holder("www", "a", 1)
        made.note(made.open_incident("www", "x"), "decided", "nothing: well")
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name='events'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    journal, place = Journal(path), (page - 1) * size
    with path.open("r+b") as file:
        file.seek(place)
        kept = file.read(size)
        file.seek(place)
        file.write(b"\xa5" * size)
    return journal, place, kept


def test_b11_a_page_that_goes_bad_while_it_runs_is_a_fault_of_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal, place, kept = _with_a_bad_page(path)
    assert journal.look() is None, "nothing has been read yet"
    with pytest.raises(JournalError, match="the journal cannot be read: database disk image is malformed"):
        journal.incidents("www")
    seen = look_at_journal(journal, ["www"])
    assert seen.up is False
    assert seen.text.startswith("cannot be read (")
    assert "restart the actuator" in seen.text
    journal.set_holder("www", "b", 2)
    assert journal.look() is not None, "a write elsewhere in the file does not make it sound"
    with path.open("r+b") as file:
        file.seek(place)
        file.write(kept)
    assert look_at_journal(journal, ["www"]) == PartHealth(True, "can be written")
    assert len(journal.incidents("www")[0]["events"]) == 1
    journal.close()


def test_b11_with_a_bad_page_the_actuator_is_not_ready_and_a_restart_keeps_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal, _, _ = _with_a_bad_page(path)
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})
    engine = _engine(world, journal)
    engine.start()
    try:
        wait_for(lambda: engine.health.failing() != [], "a thread is reported as failing")
        (text,) = engine.health.failing()
        assert text.startswith("the thread worker-www has failed")
        assert "JournalError" in text
        engine.heartbeat_at = time.monotonic()
        answer = create_app(engine, TOKEN, None, ReloadResult).test_client().get("/-/ready")
        assert answer.status_code == 503
    finally:
        engine.stop()
        journal.close()
    again = open_journal(path, ["www"])
    assert again.pauses.current("www") is not None
    assert len(list(tmp_path.glob("journal.sqlite.corrupt-*Z"))) == 1
    again.close()

"""B13: writes of the same moment share one commit, and each returns only when it is durable."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from locum_actuator.app import create_app
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.journal import group_commits
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.group_commits import GroupCommits
from locum_actuator.journal.journal import AlertRow, Journal
from locum_actuator.metrics import Metrics
from tests.actuator.fakes import FakeWorld, KeptFakes, site
from tests.support.polling import wait_for

T = TypeVar("T")

SERVICES = 20
WRITES = 15  # of a takeover
SLOW_DISK_SECONDS = 0.05


class SlowDisk(sqlite3.Connection):
    """A connection whose commits take as long as on a slow disk; counts them, and fails when the test says so."""

    commits = 0
    fault: sqlite3.Error | None = None
    may_commit: threading.Event | None = None

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Wait before a commit."""
        if sql == "COMMIT":
            SlowDisk.commits += 1
            if SlowDisk.may_commit is not None:
                assert SlowDisk.may_commit.wait(30)
            time.sleep(SLOW_DISK_SECONDS)
            if SlowDisk.fault is not None:
                raise SlowDisk.fault
        return super().execute(sql, *values)  # type: ignore[arg-type]


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """A journal on a slow disk."""
    real = sqlite3.connect
    monkeypatch.setattr(SlowDisk, "commits", 0)
    monkeypatch.setattr(SlowDisk, "fault", None)
    monkeypatch.setattr(SlowDisk, "may_commit", None)
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, **{"factory": SlowDisk, **k}))
    journal = Journal(tmp_path / "journal.sqlite")
    SlowDisk.commits = 0
    yield journal
    journal.close()


def _all_at_once(*works: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(lambda work: work(), works))


def test_b13_twenty_services_share_the_commits_of_a_slow_disk(slow: Journal) -> None:
    incidents = [slow.open_incident(f"s{number}", "x") for number in range(SERVICES)]
    SlowDisk.commits = 0

    def takeover(incident: int) -> None:
        for number in range(WRITES):
            slow.note(incident, "done", f"step {number}")

    _all_at_once(*(partial(takeover, incident) for incident in incidents))
    # One commit for each write would be 300; thirty are usual, and more where a busy machine runs threads late.
    assert SlowDisk.commits <= 10 * WRITES
    assert all(len(slow.incidents(f"s{number}")[0]["events"]) == WRITES for number in range(SERVICES))


def test_b13_a_write_that_returned_is_on_the_disk(slow: Journal, tmp_path: Path) -> None:
    """Another connection sees only what is committed: each write must find its own row there when it returns."""
    incident = slow.open_incident("www", "x")

    def written(text: str) -> int:
        slow.note(incident, "done", text)
        with sqlite3.connect(f"file:{tmp_path}/journal.sqlite?mode=ro", uri=True) as other:
            (found,) = other.execute("SELECT count(*) FROM events WHERE text=?", (text,)).fetchone()
        other.close()
        return int(found)

    assert _all_at_once(*(partial(written, f"step {number}") for number in range(10))) == [1] * 10


def test_b13_no_write_returns_before_its_commit_and_reads_do_not_wait_for_it(slow: Journal) -> None:
    incident = slow.open_incident("www", "x")
    SlowDisk.may_commit = threading.Event()
    returned = threading.Event()

    def write() -> None:
        slow.note(incident, "started", "claim")
        returned.set()

    writing = threading.Thread(target=write)
    writing.start()
    wait_for(lambda: SlowDisk.commits >= 2, "the commit is under way")
    assert slow.incidents("www")[0]["events"] == [], (
        "a read waits for no disk, and shows nothing that may be lost"
    )
    assert not returned.wait(0.2)
    SlowDisk.may_commit.set()
    writing.join(30)
    assert returned.is_set()


def test_b13_the_api_tells_incidents_while_a_commit_waits_for_the_disk(
    slow: Journal, world: FakeWorld
) -> None:
    """A person asks over HTTP what happens: the answer comes before the disk's does, however late that is."""
    engine = Engine(site(), slow, Metrics(), lambda _: KeptFakes(world), lambda _site, _gates: world)
    client = create_app(engine, "webhook-token-of-some-length", None, ReloadResult).test_client()
    incident = slow.open_incident("www", "x")
    before = SlowDisk.commits
    SlowDisk.may_commit = threading.Event()
    writing = threading.Thread(target=slow.note, args=(incident, "done", "confirm"))
    writing.start()
    try:
        wait_for(lambda: SlowDisk.commits != before, "the commit is under way")
        (row,) = client.get("/api/v1/incidents").get_json()["incidents"]
        assert row["events"] == []
        assert client.get(f"/api/v1/incidents/{incident}").get_json()["incident"]["events"] == []
        assert writing.is_alive(), "the commit was still under way when the answers came"
    finally:
        SlowDisk.may_commit.set()
        writing.join(30)
    (event,) = client.get("/api/v1/incidents").get_json()["incidents"][0]["events"]
    assert event["text"] == "confirm"
    engine.stop()


def test_b13_a_commit_that_fails_fails_for_every_write_in_it(slow: Journal) -> None:
    incident = slow.open_incident("www", "x")
    SlowDisk.fault = sqlite3.OperationalError("database or disk is full")

    def fails() -> str:
        with pytest.raises(
            JournalError, match="the journal cannot be written: database or disk is full"
        ) as raised:
            slow.note(incident, "done", "lost")
        return str(raised.value)

    assert len(_all_at_once(*[fails] * 8)) == 8
    assert slow.look() == "cannot be written (database or disk is full)"
    SlowDisk.fault = None
    slow.note(incident, "done", "kept")
    assert [event["text"] for event in slow.incidents("www")[0]["events"]] == ["kept"]
    assert slow.look() is None


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "db", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE t (x UNIQUE)")
    yield connection
    connection.close()


def _rows(db: sqlite3.Connection) -> list[int]:
    return [row[0] for row in db.execute("SELECT x FROM t ORDER BY x")]


def _together(commits: GroupCommits, *numbers: int) -> list[str]:
    """Write numbers in one transaction, each from a thread of its own, and return what each got."""
    said: list[str] = ["" for _ in numbers]
    begun = threading.Barrier(len(numbers))

    def write(place: int) -> None:
        begun.wait(30)
        try:
            with commits.write() as db:
                db.execute("INSERT INTO t VALUES (?)", (abs(numbers[place]),))
                if numbers[place] < 0:
                    raise ValueError("changed its mind")  # noqa: TRY301 - what the test is about
        except (ValueError, sqlite3.Error) as fault:
            said[place] = str(fault)

    threads = [threading.Thread(target=write, args=(place,)) for place in range(len(numbers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return said


@pytest.mark.parametrize("_again", range(5))
def test_b13_a_write_that_fails_takes_nothing_of_the_others_with_it(
    db: sqlite3.Connection, _again: int
) -> None:
    said = _together(GroupCommits(db), 1, -2, 3, 4, 4, -5)
    assert (said[0], said[1], said[2], said[5]) == ("", "changed its mind", "", "changed its mind")
    assert sorted(said[3:5]) == ["", "UNIQUE constraint failed: t.x"]
    assert _rows(db) == [1, 3, 4]
    assert not db.in_transaction


def test_b13_a_transaction_that_sqlite_ended_fails_for_all_in_it(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk does: SQLite rolls back on its own, in the middle of a write."""
    monkeypatch.setattr(group_commits, "JOIN_SECONDS", 30.0)
    commits, written = GroupCommits(db), threading.Event()
    commits._coming += (
        1  # as if another thread were about to join: the first waits for the second, however slow it is
    )
    said: list[str] = []

    def first() -> None:
        try:
            with commits.write() as one:
                one.execute("INSERT INTO t VALUES (1)")
                written.set()
        except sqlite3.Error as fault:
            said.append(str(fault))

    thread = threading.Thread(target=first)
    thread.start()
    assert written.wait(30)
    with pytest.raises(sqlite3.IntegrityError), commits.write() as two:
        two.execute("INSERT OR ROLLBACK INTO t VALUES (1)")
    with commits._arrivals:
        commits._coming -= 1
        commits._arrivals.notify_all()
    thread.join(30)
    assert said == ["UNIQUE constraint failed: t.x"]
    with commits.write() as three:
        three.execute("INSERT INTO t VALUES (3)")
    assert _rows(db) == [3]


def test_b13_accepted_alerts_are_durable_before_the_answer(slow: Journal) -> None:
    row = AlertRow("LocumServiceDown", "www", "a", "firing", None, None, "x")
    ids = _all_at_once(*[lambda: slow.accept([row])[0]] * 12)
    assert sorted(ids) == list(range(1, 13))
    assert len(slow.alerts()) == 12
    assert SlowDisk.commits <= 6

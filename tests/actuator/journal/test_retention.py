"""What is long over is forgotten, a little at a time; what is true now never is."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum_actuator.domain.alerts import WOKE
from locum_actuator.journal.journal import AlertRow, Journal
from locum_actuator.journal.retention import prune
from locum_inventory.site.model import Actuator
from tests.support.set_time import SetTime, set_time

DAY = 86400.0
LONG = 500 * DAY  # after this, all that a test wrote is long over
KEEP = Actuator(host="b")


@pytest.fixture
def clocks() -> Iterator[SetTime]:
    with set_time() as clocks:
        yield clocks


@pytest.fixture
def journal(tmp_path: Path, clocks: SetTime) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 41)
    yield journal
    journal.close()


def accept(journal: Journal, verdict: str = WOKE, count: int = 1) -> list[int]:
    return journal.accept([AlertRow("LocumServiceDown", "www", "a", "firing", None, None, verdict)] * count)


def incident(journal: Journal, step: str = "respawn", host: str = "a", *, alerts: int = 1) -> int:
    number = journal.open_incident("www", "LocumServiceDown")
    journal.attach(accept(journal, count=alerts), number)
    journal.note(number, "started", "", step=step, host=host)
    journal.note(number, "done", "seen", step=step, host=host)
    return number


def closed(journal: Journal, step: str = "respawn", host: str = "a") -> int:
    return journal.close_incident(incident(journal, step, host), step, "because")


def rows(journal: Journal, table: str) -> int:
    with sqlite3.connect(journal.path) as db:
        (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    db.close()
    return int(count)


def test_what_is_long_over_goes_with_all_that_belongs_to_it(journal: Journal, clocks: SetTime) -> None:
    closed(journal)
    accept(journal, "resolved: recorded, never acted on")
    journal.counts.count_respawn("www", "a", 1)
    journal.counts.count_takeover("www", 1)
    clocks.pass_by(LONG)
    assert prune(journal, KEEP) == 7
    assert [rows(journal, table) for table in ("alerts", "incidents", "events", "respawns", "takeovers")] == [
        0
    ] * 5


def test_what_is_not_that_old_stays(journal: Journal, clocks: SetTime) -> None:
    closed(journal)
    accept(journal, "resolved: recorded, never acted on")
    clocks.pass_by(399 * DAY)
    assert prune(journal, KEEP) == 0
    (row,) = journal.incidents()
    assert len(row["events"]) == 2
    assert len(journal.alerts()) == 2


def test_what_is_true_now_stays_however_old(journal: Journal, clocks: SetTime) -> None:
    fenced = closed(journal, "fence", "a")
    journal.counts.count_takeover("www", fenced)
    journal.counts.takeover_done("www", fenced)
    moved_at = journal.counts.last_takeover("www")
    for _ in range(3):
        closed(journal)
    still_open = incident(journal, alerts=3)
    (owed,) = accept(journal)
    pause = journal.pauses.begin("mail", 100 * 365 * DAY, "the journal was corrupt")
    clocks.pass_by(LONG)
    prune(journal, KEEP)
    assert [row["id"] for row in journal.incidents()] == [still_open, fenced]
    assert len(journal.incidents()[0]["alerts"]) == 3
    assert journal.open_incidents() == {"www": still_open}
    assert journal.unattended("www", WOKE) == [owed]
    assert (journal.holder("www").host, journal.holder("www").epoch) == ("a", 41)
    assert journal.pauses.current("mail") == pause
    assert journal.fenced("a") is not None
    assert journal.counts.last_takeover("www") == moved_at


def test_of_the_alerts_the_newest_stay(journal: Journal, clocks: SetTime) -> None:
    journal.close_incident(incident(journal, alerts=1200), "respawn", "because")
    still_open = incident(journal, alerts=300)
    accept(journal, "resolved: recorded, never acted on", count=900)
    assert prune(journal, Actuator(host="b", keep_alerts=1000)) == 1200
    assert rows(journal, "alerts") == 1200, "900 that are over, and 300 whose incident is open"
    journal.close_incident(still_open, "respawn", "because")
    assert prune(journal, Actuator(host="b", keep_alerts=1000)) == 200
    assert [row["alerts"] for row in journal.incidents()] != [[], []]
    assert rows(journal, "incidents") == 2, "an incident outlives its alerts"


@pytest.mark.timed
def test_a_hundred_thousand_alerts_go_without_making_anybody_wait(journal: Journal, clocks: SetTime) -> None:
    for _ in range(20):
        journal.close_incident(incident(journal, alerts=5000), "respawn", "because")
    clocks.pass_by(LONG)
    waited: list[float] = []
    ended = threading.Event()

    def work() -> None:
        number = journal.open_incident("www", "LocumServiceDown")
        while not ended.wait(0.005):
            begun = time.monotonic()
            journal.note(number, "decided", "keep_looking")
            waited.append(time.monotonic() - begun)

    worker = threading.Thread(target=work)
    worker.start()
    begun = time.monotonic()
    try:
        assert prune(journal, KEEP, lambda: ended.wait(0.005)) == 100_000 + 2 * 20 + 20
    finally:
        ended.set()
        worker.join()
    assert time.monotonic() - begun < 60
    assert len(waited) > 20, "others wrote meanwhile"
    assert sorted(waited)[len(waited) // 2] < 0.1
    assert max(waited) < 3


def test_it_breaks_off_when_told_and_goes_on_the_next_time(journal: Journal, clocks: SetTime) -> None:
    journal.close_incident(incident(journal, alerts=3500), "respawn", "because")
    clocks.pass_by(LONG)
    assert prune(journal, KEEP, lambda: True) == 1000
    assert prune(journal, KEEP) == 2500 + 2 + 1

"""A lasting alert for a service that answers us is one incident, and every one of its alerts belongs to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from locum_actuator.journal import repeated_looks
from locum_actuator.journal.journal import AlertRow, Journal

ALERT = AlertRow("LocumServiceDown", "www", "a", "firing", None, None, "woke the worker")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    return journal


def look(
    journal: Journal, outcome: str = "nothing", trigger: str = "LocumServiceDown", service: str = "www"
) -> int:
    """Go through an incident of one look and return its number."""
    (alert,) = journal.accept([ALERT])
    number = journal.open_incident(service, trigger)
    journal.attach([alert], number)
    journal.note(number, "decided", f"{outcome}: answered 200")
    return journal.close_incident(number, outcome, f"answered {alert}")


def test_looks_that_find_nothing_are_one_incident_with_all_their_alerts(journal: Journal) -> None:
    first = look(journal)
    begun = time.time()
    assert [look(journal) for _ in range(9)] == [first] * 9
    (row,) = journal.incidents()
    assert (row["outcome"], row["reason"], row["looks"]) == ("nothing", "answered 10", 10)
    assert row["closed_at"] >= begun
    assert len(row["alerts"]) == len(journal.alerts()) == 10
    assert [event["text"] for event in row["events"]] == ["nothing: answered 200"]


def another_trigger(journal: Journal) -> int:
    return look(journal, trigger="start-up")


def another_holder(journal: Journal) -> int:
    journal.set_holder("www", "b", 2)
    return look(journal)


def after_a_takeover(journal: Journal) -> int:
    look(journal, outcome="takeover")
    return look(journal)


def after_it_kept_looking(journal: Journal) -> int:
    number = journal.open_incident("www", "LocumServiceDown")
    journal.note(number, "decided", "keep_looking: some echoes were lost")
    journal.note(number, "decided", "nothing: answered 200")
    return journal.close_incident(number, "nothing", "answered 200")


def after_a_step(journal: Journal) -> int:
    number = journal.open_incident("www", "LocumServiceDown")
    journal.note(number, "started", "", step="respawn", host="a")
    return journal.close_incident(number, "nothing", "answered 200")


def an_hour_later(journal: Journal) -> int:
    with journal._write() as db:  # as if time had passed
        db.execute("UPDATE incidents SET closed_at=closed_at-?", (repeated_looks.WITHIN_SECONDS,))
    return look(journal)


def something_was_done(journal: Journal) -> int:
    return look(journal, outcome="respawn")


@pytest.mark.parametrize(
    "then",
    [another_trigger, another_holder, after_a_takeover, after_it_kept_looking, after_a_step, an_hour_later,
     something_was_done],
    ids=lambda then: then.__name__.replace("_", " "),
)  # fmt: skip
def test_what_has_something_to_tell_is_an_incident_of_its_own(
    journal: Journal, then: Callable[[Journal], int]
) -> None:
    first = look(journal)
    assert then(journal) != first
    assert journal.incidents()[-1]["looks"] == 1


def test_a_look_after_one_that_ran_a_step_is_an_incident_of_its_own(journal: Journal) -> None:
    first = after_a_step(journal)
    assert look(journal) != first


def test_services_are_counted_apart(journal: Journal) -> None:
    first = look(journal)
    mail = look(journal, service="mail")
    assert mail != first
    assert look(journal) == first
    assert look(journal, service="mail") == mail

"""The picture of an incident: what is drawn, and where on the line of time."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from locum_actuator.page.incident_timeline import MOST_MARKS, draw
from locum_actuator.page.render import seconds_in_words
from locum_actuator.page.time_axis import Axis

T = 1_800_000_000.0


def event(
    at: float, kind: str, what: str = "", text: str = "so", took: float | None = None
) -> dict[str, Any]:
    step, _, host = what.partition(" on ")
    return {
        "at": T + at, "kind": kind, "step": step or None, "host": host or None, "text": text, "seconds": took,
        "data": None,
    }  # fmt: skip


def incident(*events: dict[str, Any], closed: float | None = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "id": 7, "service": "www", "opened_at": T, "closed_at": None if closed is None else T + closed, "looks": 1,
        "alerts": [], "events": list(events), **more,
    }  # fmt: skip


def rows(row: dict[str, Any], now: float = 2.0) -> list[tuple[str, str, float, float]]:
    return [(mark.kind, mark.label, mark.begin, mark.end) for mark in draw(row, T + now).marks]


def test_steps_are_bars_from_their_start_to_their_end() -> None:
    row = incident(
        event(0.2, "decided", text="takeover: a is dead"),
        event(0.25, "started", "release on a"),
        event(0.5, "done", "release on a"),
        event(0.5, "started", "start on b"),
        event(0.75, "failed", "start on b", "it does not answer"),
        event(0.8, "undone", "release on a"),
    )
    assert rows(row) == [
        ("decided", "takeover", 20.0, 20.0),
        ("done", "release on a", 25.0, 50.0),
        ("failed", "start on b", 50.0, 75.0),
        ("undone", "release on a: undone", 80.0, 80.0),
    ]
    drawn = draw(row, T)
    assert [mark.took_seconds for mark in drawn.marks] == [None, 0.25, 0.25, None]
    assert drawn.ticks[:3] == ((0.0, 0.0), (20.0, 0.2), (40.0, 0.4))


def test_a_step_under_way_lasts_until_now_and_one_that_was_broken_off_is_a_dot() -> None:
    steps = (event(0.5, "started", "fence on a"),)
    assert rows(incident(*steps, closed=None), now=1.0) == [("running", "fence on a", 50.0, 100.0)]
    assert rows(incident(*steps, closed=1.0)) == [("broken", "fence on a", 50.0, 50.0)]
    again = incident(
        *steps, event(0.75, "resumed", text="interrupted in the middle of: fence on a"), closed=None
    )
    assert rows(again, now=1.0)[0] == ("broken", "fence on a", 50.0, 50.0)


ALERTS = {
    "a little before it came": ("2027-01-15T08:00:00.5Z", 0.5, 100.0),
    "in the future: another clock": ("2027-01-15T09:00:00Z", None, 100.0),
    "long ago": ("2026-01-15T08:00:00Z", None, 100.0),
    "no time at all": ("yesterday", None, 100.0),
    "nothing": (None, None, 100.0),
}


@pytest.mark.parametrize(("starts_at", "begun", "end"), ALERTS.values(), ids=ALERTS)
def test_an_alert_begins_when_it_says_where_that_can_be(
    starts_at: str | None, begun: float | None, end: float
) -> None:
    alert = {
        "name": "LocumServiceDown", "host": "a", "status": "firing", "starts_at": starts_at, "received_at": T + 1,
    }  # fmt: skip
    ((kind, label, begin, until),) = rows(incident(alerts=[alert, alert]))
    assert (kind, label, until) == ("alert", "LocumServiceDown on a", end)
    assert begin == (end if begun is None else begun * 100)


def test_a_refusal_looks_like_one() -> None:
    assert rows(incident(event(0.5, "decided", text="refuse: no witness answers"))) == [
        ("refused", "refuse", 50.0, 50.0)
    ]


def test_a_long_wait_takes_little_room_and_says_how_long_it_was() -> None:
    row = incident(
        event(0.0, "decided", text="refuse: two"),
        event(3600.0, "decided", text="takeover: three"),
        event(3602.0, "started", "claim on b"),
        event(3604.0, "done", "claim on b"),
        closed=3604.0,
    )
    drawn = draw(row, T + 4000)
    (cut,) = drawn.cuts
    assert cut.seconds == 3600.0
    assert cut.end - cut.begin < 15
    assert drawn.marks[-1].end - drawn.marks[-1].begin > 40
    assert drawn.seconds == 3604.0


def test_an_incident_of_thousands_of_events_is_drawn_short() -> None:
    row = incident(
        *(event(number * 0.001, "hook", "before_claim on b") for number in range(5000)), closed=5.0
    )
    drawn = draw(row, T + 5)
    assert (len(drawn.marks), drawn.left_out) == (MOST_MARKS, 5000 - MOST_MARKS)


def test_nothing_but_its_opening() -> None:
    assert draw(incident(closed=0.0), T).marks == ()


@pytest.mark.parametrize(
    "moments", [[0], [0, 0], [5, 1, 3], [0, 100, 200, 10_000], [0, 1e-9], list(range(100))]
)
def test_the_line_keeps_the_order_and_its_ends(moments: list[float]) -> None:
    axis = Axis(moments)
    at = [axis.percent(moment) for moment in sorted(set(moments))]
    assert at[0] == 0.0
    assert len(at) == 1 or at[-1] == 100.0
    assert all(earlier <= later for earlier, later in itertools.pairwise(at))
    assert all(0 <= percent <= 100 for percent, _ in axis.ticks())


WORDS = {
    0.0004: "0 ms",
    0.09: "90 ms",
    1.0: "1 s",
    1.25: "1.25 s",
    60: "60 s",
    600: "10 min",
    7200: "2 h",
    864000: "10 days",
}


@pytest.mark.parametrize(("seconds", "words"), WORDS.items())
def test_seconds_in_words(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words

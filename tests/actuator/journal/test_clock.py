"""The wall clock may be set at any time: nothing that is decided, and nothing that holds back, follows it."""

from __future__ import annotations

import ast
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import locum_actuator
import locum_exporter
import locum_inventory
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.journal.clock import BrakeClock
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps import claim, prove
from locum_actuator.system import netlink
from tests.actuator.fakes import FakeGate, FakeWorld, site
from tests.support.set_time import NOON, SetTime, set_time

HOUR = 3600.0


@pytest.fixture
def clocks() -> Iterator[SetTime]:
    """A wall clock that may be set, and a count since boot that cannot."""
    with set_time(NOON) as clocks:
        yield clocks


@pytest.mark.parametrize("jump", [HOUR, -HOUR, -NOON], ids=["an hour ahead", "an hour back", "to 1970"])
def test_a_wall_clock_that_is_set_changes_what_people_see_and_nothing_else(
    jump: float, clocks: SetTime
) -> None:
    clock = BrakeClock()
    clocks.pass_by(60)
    clocks.wall += jump
    assert clock.now() == NOON + 60
    assert clock.on_the_wall(NOON) == NOON + jump


JUMPS = {"an hour ahead": HOUR, "an hour back": -HOUR, "to 1970": -NOON}


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_what_holds_back_lasts_as_long_as_it_would_have(jump: float, tmp_path: Path, clocks: SetTime) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    context = Context(site(), "www", journal, Metrics(), {}, FakeWorld({}))
    incident = journal.open_incident("www", "LocumServiceDown")
    journal.counts.count_takeover("www", incident)
    journal.counts.takeover_done("www", incident)
    journal.counts.count_respawn("www", "a", incident)
    journal.pauses.begin("www", 2 * HOUR, "new disks")
    clocks.pass_by(60)
    clocks.wall += jump
    memory = context.memory()
    assert (memory.takeovers_last_hour, memory.respawns_last_hour, memory.seconds_since_takeover) == (
        1,
        {"a": 1},
        60.0,
    )
    assert memory.paused is not None
    paused = journal.pauses.current("www")
    assert paused is not None
    assert paused.until == clocks.wall + 2 * HOUR - 60, "people see its end by the clock that they have"
    clocks.pass_by(HOUR)
    memory = context.memory()
    assert (memory.takeovers_last_hour, memory.respawns_last_hour) == (0, {}), "an hour is an hour"
    assert memory.paused is not None
    clocks.pass_by(HOUR)
    assert context.memory().paused is None


@pytest.mark.parametrize("jump", [-HOUR, -NOON], ids=["an hour back", "to 1970"])
def test_at_a_start_the_newest_of_the_future_counts_as_now(
    jump: float, tmp_path: Path, clocks: SetTime
) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    incident = journal.open_incident("www", "LocumServiceDown")
    for _ in range(2):
        journal.counts.count_takeover("www", incident)
        journal.counts.takeover_done("www", incident)
        clocks.pass_by(2 * HOUR)
    journal.counts.count_takeover("www", incident)
    journal.counts.takeover_done("www", incident)
    clocks.pass_by(60)
    journal.pauses.begin("www", HOUR, "new disks")
    journal.close()

    clocks.wall += jump - 60
    journal = Journal(tmp_path / "journal.sqlite")
    now = clocks.wall
    assert journal.counts.last_takeover("www") == pytest.approx(now - 60), (
        "it keeps its distance from the pause"
    )
    assert journal.counts.takeovers_since("www", now - HOUR) == 1, "old ones spend nothing of this hour"
    assert journal.counts.takeovers_since("www", now - 3 * HOUR) == 2
    pause = journal.pauses.current("www")
    assert pause is not None
    assert pause.begun_at == pytest.approx(now)
    assert pause.until == pytest.approx(now + HOUR)


def test_at_a_start_what_is_past_stays_where_it_is(tmp_path: Path, clocks: SetTime) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.counts.count_takeover("www", journal.open_incident("www", "LocumServiceDown"))
    journal.pauses.begin("www", 2 * HOUR, "new disks")
    journal.close()
    clocks.pass_by(60)
    journal = Journal(tmp_path / "journal.sqlite")
    assert journal.counts.takeovers_since("www", clocks.wall - 60.5) == 1
    assert journal.counts.takeovers_since("www", clocks.wall - 59.5) == 0
    pause = journal.pauses.current("www")
    assert pause is not None
    assert pause.until == NOON + 2 * HOUR, "that a pause ends in the future makes it none of the future's"


def test_a_takeover_goes_its_way_while_the_clock_jumps_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = FakeWorld({"a": FakeGate(held=True, processes=3), "b": FakeGate()}, hung={"a"})
    b = world.gates["b"]
    monkeypatch.setattr(netlink, "add", lambda interface, address, **right_before: setattr(b, "held", True))
    monkeypatch.setattr(netlink, "held", lambda addresses: {a.ip for a in addresses} if b.held else set())
    monkeypatch.setattr(claim, "announce", lambda interface, addresses: None)
    monkeypatch.setattr(prove, "announce", lambda interface, addresses: None)
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    metrics = Metrics()
    metrics.init_service("www", ("a", "b"))
    context = Context(site(cooldown=600), "www", journal, metrics, world.gates, world)
    hours = itertools.cycle([0.0, HOUR, -HOUR, 20 * HOUR, -NOON])
    monkeypatch.setattr(time, "time", lambda: NOON + next(hours))
    number = journal.open_incident("www", "LocumServiceDown")
    ended = threading.Event()
    threading.Timer(5, ended.set).start()
    Incident(context, number).handle(ended)
    (row,) = journal.incidents()
    steps = [f"{event['step']} {event['kind']}" for event in row["events"] if event["step"]]
    assert [step for step in steps if step.endswith("done")] == [
        f"{name} done" for name in ("release", "confirm", "start", "claim", "prove")
    ]
    assert row["outcome"] == "takeover"
    memory = context.memory()
    assert memory.takeovers_last_hour == 1
    assert 0 <= (memory.seconds_since_takeover or 0) < 5


# Which files may read the wall clock, and what for. None that decides or waits is among them.
WALL = {
    "runtime.py": "for those named here",
    "recovery.py": "the name of a damaged file",
    "auto_failback.py": "the hours in which a service may be brought back",
    "clock.py": "once, at the start",
    "journal.py": "when a thing happened, for people",
    "repeated_looks.py": "when a thing happened, for people",
    "observer.py": "when it was looked, for people",
    "metrics.py": "when the last heartbeat came, for people's rules",
    "alarm.py": "the end of an alert, which Alertmanager's clock judges",
    "mirror_schedule.py": "when the next mirror is due, as cron would have it",
    "watch.py": "since when a part is missing, for people",
    "explain.py": "when it was looked, for people",
    "check_results.py": "when Prometheus was asked, to leave out what is older than the last change of holder",
    "routes.py": "how long an open incident has lasted, on the page",
    "view.py": "how long an open incident has lasted, on the page",
}
ASKS = {
    "runtime.wall_time",
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}


def test_nobody_else_asks_the_wall_clock() -> None:
    found: dict[str, list[str]] = {}
    for package in (locum_actuator, locum_exporter, locum_inventory):
        for path in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and ast.unparse(node).removeprefix("datetime.") in ASKS:
                    found.setdefault(path.name, []).append(f"line {node.lineno}: {ast.unparse(node)}")
    others = {name: lines for name, lines in found.items() if name not in WALL}
    assert others == {}, "durations want time.monotonic, or Journal.clock where they outlive a restart"
    assert set(WALL) - set(found) == set(), "no longer so"

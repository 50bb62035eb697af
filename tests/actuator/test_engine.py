"""Reload and end while plans run: never two workers for one service, and nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import FakeShell, FakeWorld, site

from locum_actuator.engine import Engine
from locum_actuator.journal import Journal
from locum_actuator.metrics import Metrics
from locum_inventory.model import Site
from locum_inventory.shell import ServiceStatus, Shell, Verb

WAIT_SECONDS = 3.0


class SlowShell(FakeShell):
    """A gate whose `respawn` takes until the test lets it end."""

    def begin(self) -> None:
        """Make the service absent, so that it is respawned; without end at first."""
        self.processes = 0
        self.begun, self.may_end = threading.Event(), threading.Event()

    def change(self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float) -> ServiceStatus:
        """Wait where it is a respawn."""
        if verb == "respawn":
            self.begun.set()
            assert self.may_end.wait(WAIT_SECONDS)
        return super().change(verb, service, epoch, deadline_seconds=deadline_seconds)


class ClosingShells:
    """Shells that remember that they were closed."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world
        self.closed = False

    def __getitem__(self, host: str) -> Shell:
        return self._world.shells[host]

    def close(self) -> None:
        """Remember."""
        self.closed = True


class Crews:
    """What an engine was given, one of each a reading of the site file."""

    def __init__(self) -> None:
        self.slow = SlowShell(held=True, processes=3, epoch=1)
        self.worlds: list[FakeWorld] = []
        self.shells: list[ClosingShells] = []

    def make_shells(self, _site: Site) -> ClosingShells:
        """Return shells on the same hosts as ever."""
        self.worlds.append(FakeWorld({"a": self.slow, "b": FakeShell()}))
        self.shells.append(ClosingShells(self.worlds[-1]))
        return self.shells[-1]

    def make_looker(self, _site: Site, _shells: object) -> FakeWorld:
        """Return the eyes that go with the shells made last."""
        return self.worlds[-1]


@pytest.fixture
def crews() -> Crews:
    return Crews()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    yield journal
    journal.close()


@pytest.fixture
def engine(crews: Crews, journal: Journal) -> Iterator[Engine]:
    engine = Engine(site(), journal, Metrics(), crews.make_shells, crews.make_looker)
    yield engine
    engine.stop()


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.01)


def other(name: str) -> Site:
    """Return the site with its service under another name."""
    values = site().model_dump()
    values["services"] = {name: values["services"]["www"]}
    return Site.model_validate(values)


def test_a_reload_in_the_middle_of_a_plan_lets_it_end_before_the_next_look(
    engine: Engine, crews: Crews, journal: Journal
) -> None:
    crews.slow.begin()
    engine.start()
    assert crews.slow.begun.wait(WAIT_SECONDS)
    begun = time.monotonic()
    engine.reload(site(max_per_hour=7))
    assert time.monotonic() - begun < 1, "a reload waits for nobody"
    assert engine.site.services["www"].takeover.max_per_hour == 7
    time.sleep(0.1)
    assert crews.worlds[1].looks == 0, "two at work for one service"
    assert not crews.shells[0].closed, "and its plan still needs them"
    crews.slow.may_end.set()
    wait_for(lambda: crews.worlds[1].looks)
    wait_for(lambda: crews.shells[0].closed and crews.worlds[0].closed)
    assert crews.slow.calls == ["respawn"]
    assert [row["outcome"] for row in journal.incidents() if row["outcome"] == "respawn"] == ["respawn"]


def test_the_end_waits_for_the_plan_at_hand(engine: Engine, crews: Crews, journal: Journal) -> None:
    crews.slow.begin()
    engine.start()
    assert crews.slow.begun.wait(WAIT_SECONDS)
    threading.Timer(0.1, crews.slow.may_end.set).start()
    engine.stop()
    assert [row["outcome"] for row in journal.incidents()] == ["respawn"]
    assert crews.shells[0].closed
    assert crews.worlds[0].closed


def test_reloads_leave_nothing_behind(engine: Engine, crews: Crews) -> None:
    engine.start()
    wait_for(lambda: crews.worlds[0].looks)
    threads = threading.active_count()
    for _ in range(10):
        engine.reload(site())
    wait_for(lambda: threading.active_count() <= threads)
    assert [shells.closed for shells in crews.shells] == [*[True] * 10, False]
    assert [world.closed for world in crews.worlds] == [*[True] * 10, False]


def test_no_reload_begins_after_the_end(engine: Engine, crews: Crews) -> None:
    engine.start()
    engine.stop()
    engine.reload(site())
    assert len(crews.shells) == 1


def test_a_service_that_is_named_no_more_leaves_no_open_incident_and_no_gauges(
    engine: Engine, crews: Crews, journal: Journal
) -> None:
    crews.worlds[0].hung.add("a")
    crews.slow.fault = "refused"  # hung and its gate silent: refused, and the incident stays open
    engine.start()
    wait_for(lambda: engine.workers["www"].incident)
    engine.reload(other("mail"))
    wait_for(lambda: "www" not in journal.open_incidents())
    (row,) = journal.incidents("www")
    assert (row["outcome"], row["reason"]) == ("dropped", "the site file no longer names the service")
    wait_for(lambda: b'service="www"' not in _gauges(engine))


def _gauges(engine: Engine) -> bytes:
    lines = engine.metrics.render().splitlines()
    names = (b"locum_actuator_holder{", b"locum_actuator_incident_open{", b"locum_actuator_alone{")
    return b"\n".join(line for line in lines if line.startswith(names))

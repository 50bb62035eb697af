"""Reload and end while plans run: never two workers for one service, and nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.succession import Succession, predecessor
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_exporter.result import Outcome
from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import GateClient, ServiceStatus, Verb
from locum_inventory.site.model import Service, Site
from tests.actuator.fakes import FakeGate, FakeWorld, host, site, situation
from tests.support.polling import wait_for

WAIT_SECONDS = 30.0


class SlowGate(FakeGate):
    """A gate whose `respawn` takes until the test lets it end."""

    def begin(self) -> None:
        """Make the service absent, so that it is respawned; without end at first."""
        self.processes = 0
        self.begun, self.may_end = threading.Event(), threading.Event()

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Wait where it is a respawn."""
        if verb == "respawn":
            self.begun.set()
            assert self.may_end.wait(WAIT_SECONDS)
        return super().run_verb(verb, service, epoch, deadline_seconds=deadline_seconds, permit=permit)


class ClosingGates:
    """Shells that remember that they were closed."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world
        self.closed = False

    def __getitem__(self, host: str) -> GateClient:
        return self._world.gates[host]

    def close(self) -> None:
        """Remember."""
        self.closed = True


class Runtimes:
    """What an engine was given, one of each a reading of the site file."""

    def __init__(self) -> None:
        self.slow = SlowGate(held=True, processes=3, epoch=1)
        self.worlds: list[FakeWorld] = []
        self.gates: list[ClosingGates] = []

    def make_gates(self, _site: Site) -> ClosingGates:
        """Return shells on the same hosts as ever."""
        self.worlds.append(FakeWorld({"a": self.slow, "b": FakeGate()}))
        self.gates.append(ClosingGates(self.worlds[-1]))
        return self.gates[-1]

    def make_observer(self, _site: Site, _gates: object) -> FakeWorld:
        """Return the eyes that go with the shells made last."""
        return self.worlds[-1]


@pytest.fixture
def runtimes() -> Runtimes:
    return Runtimes()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    yield journal
    journal.close()


@pytest.fixture
def engine(runtimes: Runtimes, journal: Journal) -> Iterator[Engine]:
    engine = Engine(site(), journal, Metrics(), runtimes.make_gates, runtimes.make_observer)
    yield engine
    engine.stop()


def other(name: str) -> Site:
    """Return the site with its service under another name."""
    values = site().model_dump()
    values["services"] = {name: values["services"]["www"]}
    return Site.model_validate(values)


@pytest.mark.timed
def test_a_reload_in_the_middle_of_a_plan_lets_it_end_before_the_next_look(
    engine: Engine, runtimes: Runtimes, journal: Journal
) -> None:
    runtimes.slow.begin()
    engine.start()
    assert runtimes.slow.begun.wait(WAIT_SECONDS)
    begun = time.monotonic()
    engine.reload(site(max_per_hour=7))
    assert time.monotonic() - begun < 1, "a reload does not wait"
    assert engine.site.services["www"].takeover.max_per_hour == 7
    time.sleep(0.1)
    assert runtimes.worlds[1].looks == 0, "two at work for one service"
    assert not runtimes.gates[0].closed, "and its plan still needs them"
    runtimes.slow.may_end.set()
    wait_for(lambda: runtimes.worlds[1].looks, "the reloaded engine checks the hosts")
    wait_for(lambda: runtimes.gates[0].closed and runtimes.worlds[0].closed, "the first runtime is closed")
    assert runtimes.slow.calls == ["respawn"]
    assert [row["outcome"] for row in journal.incidents() if row["outcome"] == "respawn"] == ["respawn"]


def test_the_end_waits_for_the_plan_at_hand(engine: Engine, runtimes: Runtimes, journal: Journal) -> None:
    runtimes.slow.begin()
    engine.start()
    assert runtimes.slow.begun.wait(WAIT_SECONDS)
    threading.Timer(0.1, runtimes.slow.may_end.set).start()
    engine.stop()
    assert [row["outcome"] for row in journal.incidents()] == ["respawn"]
    assert runtimes.gates[0].closed
    assert runtimes.worlds[0].closed


def test_reloads_leave_nothing_behind(engine: Engine, runtimes: Runtimes) -> None:
    engine.start()
    wait_for(lambda: runtimes.worlds[0].looks, "the engine checks the hosts")
    threads = threading.active_count()
    for _ in range(10):
        engine.reload(site())
    wait_for(lambda: threading.active_count() <= threads, "the threads of the old runtimes have ended")
    assert [gates.closed for gates in runtimes.gates] == [*[True] * 10, False]
    assert [world.closed for world in runtimes.worlds] == [*[True] * 10, False]


def test_no_reload_begins_after_the_end(engine: Engine, runtimes: Runtimes) -> None:
    engine.start()
    engine.stop()
    engine.reload(site())
    assert len(runtimes.gates) == 1


def test_a_service_that_is_named_no_more_leaves_no_open_incident_and_no_gauges(
    engine: Engine, runtimes: Runtimes, journal: Journal
) -> None:
    runtimes.worlds[0].hung.add("a")
    runtimes.slow.fault = "refused"  # hung and its gate silent: refused, and the incident stays open
    engine.start()
    wait_for(lambda: engine.workers["www"].incident, "an incident is open")
    engine.reload(other("mail"))
    wait_for(lambda: "www" not in journal.open_incidents(), "the incident of www is closed")
    (row,) = journal.incidents("www")
    assert (row["outcome"], row["reason"]) == ("dropped", "the site file names its address under mail now")
    wait_for(lambda: b'service="www"' not in _gauges(engine), "www has no gauges left")


def elsewhere() -> Site:
    """Return the site with another service on another address, which is only observed."""
    values = other("mail").model_dump()
    values["services"]["mail"]["takeover"]["mode"] = "observe"
    values["services"]["mail"]["addresses"] = ["192.0.2.200/24"]
    return Site.model_validate(values)


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([other("web")], id="renamed"),
        pytest.param([elsewhere(), site()], id="taken out and put back"),
        pytest.param([elsewhere(), other("web")], id="taken out and put back under another name"),
        pytest.param([site(max_per_hour=7), site(), site()], id="read thrice"),
        pytest.param([other("web"), site(), other("web")], id="renamed to and fro"),
    ],
)
def test_a9_one_at_work_for_an_address_whatever_its_service_is_called(
    engine: Engine, runtimes: Runtimes, journal: Journal, readings: list[Site]
) -> None:
    """The site file is read again, twice and thrice, in the middle of a plan for the address."""
    runtimes.slow.begin()
    engine.start()
    assert runtimes.slow.begun.wait(WAIT_SECONDS)
    for reading in readings:
        engine.reload(reading)
    time.sleep(0.2)
    last = runtimes.worlds[-1]
    assert last.looks == 0, "two at work for one address"
    assert "www" in journal.open_incidents(), "its plan is under way"
    runtimes.slow.may_end.set()
    wait_for(lambda: last.looks, "the last engine checks the hosts")
    assert runtimes.slow.calls == ["respawn"]
    (name,) = engine.site.services
    wait_for(lambda: journal.holder(name).host == "a", f"a is the holder of {name}")
    wait_for(lambda: not journal.open_incidents(), "no incident is open")
    assert [row["outcome"] for row in journal.incidents("www")][-1] == "respawn"


def test_a9_a_service_on_another_address_waits_for_nobody(engine: Engine, runtimes: Runtimes) -> None:
    runtimes.slow.begin()
    engine.start()
    assert runtimes.slow.begun.wait(WAIT_SECONDS)
    engine.reload(elsewhere())
    wait_for(lambda: runtimes.worlds[1].looks, "the reloaded engine checks the hosts")
    runtimes.slow.may_end.set()


def test_a9_what_is_known_of_an_address_goes_with_it(
    engine: Engine, runtimes: Runtimes, journal: Journal
) -> None:
    """Who holds it, the epoch, and a person's pause."""
    journal.set_holder("www", "a", 41)
    journal.pauses.begin("www", 60.0, "new disk")
    engine.start()
    wait_for(lambda: runtimes.worlds[0].looks, "the engine checks the hosts")
    engine.reload(other("web"))
    wait_for(lambda: runtimes.worlds[1].looks, "the reloaded engine checks the hosts")
    assert (journal.holder("web").host, journal.holder("web").epoch) == ("a", 41)
    pause = journal.pauses.current("web")
    assert pause is not None
    assert (pause.reason, pause.until - time.time() > 50) == ("new disk", True)


def test_a_reload_forgets_no_loss_and_no_start(engine: Engine) -> None:
    """One burst that loss has swallowed would else make a living host look dead right after a reload."""
    was = engine.context("www")
    was.loss_history.looked(situation(host("a", echoes=(3, 20), gate="no answer"), host("b")))
    was.loss_history.reached_by(Reach((CheckOutcome("c", Outcome.WELL, "answers"),)))
    was.starts.began("a")
    engine.reload(site())
    now = engine.context("www")
    assert "a" in now.loss_history.doubted()
    assert "c" in now.loss_history.reached()
    assert now.starts is was.starts
    values = site().model_dump()
    values["services"]["www"]["addresses"] = ["192.0.2.200/24"]  # that one was not tried yet
    engine.reload(Site.model_validate(values))
    moved = engine.context("www")
    assert "a" in moved.loss_history.doubted()
    assert "c" not in moved.loss_history.reached()


def test_a9_two_services_that_swap_their_addresses(journal: Journal) -> None:
    """Each goes on with what was known of its new address, in whichever order they begin."""
    values = site().services["www"]
    journal.set_holder("www", "a", 7)
    journal.set_holder("mail", "b", 3)
    succession = Succession(journal)
    for name, before in (("www", "mail"), ("mail", "www")):
        succession.inherit(name, before, {"www": values, "mail": values})
    assert (journal.holder("www").host, journal.holder("mail").host) == ("b", "a")
    assert (journal.holder("www").epoch, journal.holder("mail").epoch) == (7, 7)


def addressed(*addresses: str) -> Service:
    values = site().services["www"].model_dump()
    return Service.model_validate({**values, "addresses": [f"{address}/24" for address in addresses]})


A9 = {
    "the same name and address": ("www", ["1"], [("www", ["1"])], None),
    "another name": ("web", ["1"], [("www", ["1"]), ("mail", ["2"])], "www"),
    "another address": ("www", ["3"], [("www", ["1"])], None),
    "swapped": ("www", ["2"], [("www", ["1"]), ("mail", ["2"])], "mail"),
    "two joined under the old name": ("www", ["1", "2"], [("www", ["1"]), ("mail", ["2"])], None),
    "two joined under a new name": ("web", ["1", "2", "3"], [("www", ["1"]), ("mail", ["2", "3"])], "mail"),
    "one split off": ("mail", ["2"], [("www", ["1", "2"])], "www"),
}


@pytest.mark.parametrize(("name", "now", "before", "expected"), A9.values(), ids=A9.keys())
def test_a9_whose_address_it_was(
    name: str, now: list[str], before: list[tuple[str, list[str]]], expected: str | None
) -> None:
    def full(ends: list[str]) -> Service:
        return addressed(*(f"192.0.2.10{end}" for end in ends))

    assert predecessor(name, full(now), [(old, full(ends)) for old, ends in before]) == expected


def _gauges(engine: Engine) -> bytes:
    lines = engine.metrics.render().splitlines()
    names = (
        b"locum_actuator_holder{",
        b"locum_actuator_incident_open{",
        b"locum_actuator_standby_available{",
    )
    return b"\n".join(line for line in lines if line.startswith(names))

"""Killed at every single instant of every plan: the next start finishes or undoes it, and says which.

The instants are enumerated, not sampled: before and after every write of the journal, and before and after every
change a host is asked for. After each the world stands still, as after `kill -9`; with `power`, b loses what it
holds and runs as well. Where nothing that outlives the process has changed since the instant before, to be killed
there is to be killed at that one, and it is left out: such as the begin of a write that follows another.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal

import pytest

from locum_actuator.domain.mirror_run import NO_WISH, MirrorResult, NoMirrors, RunOptions
from locum_actuator.domain.plan import Move
from locum_actuator.domain.situation import Situation
from locum_actuator.engine.context import Context
from locum_actuator.engine.move_incident import begin_incident
from locum_actuator.engine.worker import START_UP, Worker
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps import claim, fence, prove
from locum_actuator.steps import hooks as hooks_module
from locum_actuator.system import netlink, runtime
from locum_actuator.system.fence_agent import FenceAgent
from locum_exporter.result import Outcome
from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import ServiceStatus, Verb
from locum_inventory.site.model import FenceDevice, InterfaceAddress, Mirror, Site
from sim.virtual_time import VirtualRuntime
from sim.waitables import Until
from tests.actuator.fakes import FakeGate, FakeWorld, site

# Of an incident; one that is still open then is left open. A plan that failed is tried again after 30 s: that would
# hide the failure.
LONGEST_SECONDS = 20.0


class Killed(BaseException):
    """kill -9: nothing catches it."""


class HeldTwice(BaseException):
    """The worst that can happen: nothing catches it either."""


class Fate:
    """Kills at one instant; counts them all, and notes at which a `state` is not that of the instant before."""

    def __init__(self, at: int | None, state: Callable[[], object] = object) -> None:
        self.at = at
        self.passed = 0
        self.different: list[int] = []
        self._state = state
        self._last: object = None

    def instant(self) -> None:
        if self.at is None:
            state = self._state()
            if state != self._last:
                self.different.append(self.passed)
            self._last = state
        if self.passed == self.at:
            self.end()
        self.passed += 1

    def end(self) -> None:
        """Kill."""
        raise Killed


class MortalJournal(Journal):
    """A journal whose process may be killed before and after each write."""

    fate = Fate(None)

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        self.fate.instant()
        with super()._write() as db:
            yield db
        self.fate.instant()


class MortalGate(FakeGate):
    """A gate whose caller may be killed before the verb arrives and before its answer does."""

    fate = Fate(None)
    always: Callable[[], None] = staticmethod(lambda: None)

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        if verb == "store-epoch":  # by a thread that nothing waits for
            return super().run_verb(verb, service, epoch, deadline_seconds=deadline_seconds, permit=permit)
        self.fate.instant()
        after = super().run_verb(verb, service, epoch, deadline_seconds=deadline_seconds, permit=permit)
        self.always()
        self.fate.instant()
        return after


@dataclass
class MortalMirrors(NoMirrors):
    """A mirror whose actuator may be killed before and after the copy; it is written down as the real one is."""

    world: World
    journal: Journal
    fate: Fate

    def run(self, service: str, source: str, destination: str, wish: RunOptions = NO_WISH) -> MirrorResult:
        ledger, now = self.journal.mirrors, self.journal.clock.now()
        number = ledger.highest_run(service) + 1
        result = MirrorResult(service, source, destination, number, "failed", "disk full", now, 0.0)
        entry = ledger.begin(service, source, destination, number, now)
        self.fate.instant()
        if self.world.mirrors:
            self.world.data[destination] = self.world.data[source]
            result = replace(result, outcome="done", text="1 file")
        self.fate.instant()
        ledger.end(entry, result, now)
        return result


@dataclass
class World(FakeWorld):
    """A fake world in which a restart cures what hung, and two holders are never."""

    fenceable: bool = False
    two_at_first: bool = False  # the fault itself is that two hold the address
    mirrors: bool = True  # a mirror run works
    data: dict[str, str] = field(default_factory=lambda: {"a": "new", "b": "old"})

    def never_two(self) -> None:
        held = [name for name, gate in self.gates.items() if gate.held and name not in self.dead]
        if len(held) > 1 and not self.two_at_first:
            raise HeldTwice(held)
        self.two_at_first = len(held) > 1
        for name, gate in self.gates.items():
            if gate.processes == 0:
                self.hung.discard(name)  # what was hung is gone; what starts next is well

    def situation(self, service: str) -> Situation:
        seen = super().situation(service)
        return replace(seen, hosts={**seen.hosts, "a": replace(seen.hosts["a"], fenceable=self.fenceable)})


def hung(world: World) -> None:
    world.hung.add("a")


def dead(world: World) -> None:
    world.dead.add("a")


def killed(world: World) -> None:
    world.gates["a"].processes = 0


def killed_for_good(world: World) -> None:
    world.gates["a"].processes = 0
    world.gates["a"].start_works = False


def unheld(world: World) -> None:
    world.gates["a"].held = False


def unheld_and_a_does_not_start(world: World) -> None:
    unheld(world)
    killed_for_good(world)


def hung_and_b_does_not_start(world: World) -> None:
    world.hung.add("a")
    world.gates["b"].start_works = False


def silent_gate(world: World) -> None:
    world.hung.add("a")
    world.gates["a"].fault = "timeout"


def a_does_not_release(world: World) -> None:
    world.hung.add("a")
    world.gates["a"].refuse["release"] = "failed"


def held_twice(world: World) -> None:
    world.two_at_first = world.gates["b"].held = True


def moved_by_hand(world: World) -> None:
    world.gates["a"].held, world.gates["a"].processes = False, 0
    world.gates["b"].held, world.gates["b"].processes = True, 3


def back_and_running(world: World) -> None:
    world.gates["a"].held, world.gates["b"].held = False, True
    world.gates["b"].processes = 3


def well(world: World) -> None:
    """Nothing is wrong: the alert was a mistake."""


def b_does_not_start(world: World) -> None:
    world.gates["b"].start_works = False


def a_loses_the_answer(world: World) -> None:
    world.gates["a"].refuse["release"] = "timeout"


def no_mirror(world: World) -> None:
    world.mirrors = False


def b_holds(world: World) -> None:
    world.gates["a"].held, world.gates["a"].processes = False, 0
    world.gates["b"].held, world.gates["b"].processes = True, 3


TO_B = Move("switchover", "b", asked_by="anna")
BACK = Move("failback", asked_by="anna")


@dataclass(frozen=True, eq=False)
class Row:
    """A fault, the steps that a whole life takes, and what the site says besides."""

    fault: Callable[[World], None]
    steps: str
    takeover: dict[str, Any] = field(default_factory=dict)
    fenceable: bool = False
    hooks: bool = False
    holder: str = "a"  # before the fault
    move: Move | None = None  # what is asked for, where it is no fault that wakes
    mirror: bool = False  # its data are mirrored, and b's copy is older than what a has


TAKE = "start on b, claim on b, prove on b"
ROWS = {
    "hung": Row(hung, f"release on a, confirm on b, {TAKE}"),
    "hung, started after the claim": Row(
        hung, "release on a, confirm on b, claim on b, start on b, prove on b", {"start": "after_claim"}
    ),
    "hung, with hooks": Row(hung, f"release on a, confirm on b, {TAKE}", hooks=True),
    "hung, and b does not start": Row(hung_and_b_does_not_start, "release on a, confirm on b, start on b"),
    "dead": Row(dead, f"confirm on b, {TAKE}"),
    "killed": Row(killed, "respawn on a"),
    "killed for good": Row(killed_for_good, f"respawn on a, release on a, confirm on b, {TAKE}"),
    "unheld": Row(unheld, "start on a, claim on a, prove on a"),
    "unheld, and a does not start": Row(
        unheld_and_a_does_not_start, f"start on a, release on a, confirm on b, {TAKE}"
    ),
    "gate silent, fenced": Row(silent_gate, f"fence on a, confirm on b, {TAKE}", fenceable=True),
    "dead, fenced": Row(dead, f"fence on a, confirm on b, {TAKE}", fenceable=True),
    "not released, so fenced": Row(
        a_does_not_release, f"release on a, fence on a, confirm on b, {TAKE}", fenceable=True
    ),
    "held twice": Row(held_twice, "release on b, claim on a"),
    "moved by hand": Row(moved_by_hand, ""),
    "back, and running as well as the holder": Row(back_and_running, "release on a", holder="b"),
    "well": Row(well, ""),
    "switchover": Row(well, f"release on a, confirm on b, {TAKE}", move=TO_B),
    "switchover, started first": Row(
        well,
        "start on b, release on a, confirm on b, claim on b, prove on b",
        {"start": "during_release"},
        move=TO_B,
    ),
    "switchover, started after the claim": Row(
        well,
        "release on a, confirm on b, claim on b, start on b, prove on b",
        {"start": "after_claim"},
        move=TO_B,
    ),
    "switchover, and b does not start": Row(
        b_does_not_start, "release on a, confirm on b, start on b", move=TO_B
    ),
    "switchover, started first, and b does not start": Row(
        b_does_not_start, "start on b", {"start": "during_release"}, move=TO_B
    ),
    "switchover, and a does not release": Row(a_loses_the_answer, "release on a", move=TO_B),
    "switchover, with its data": Row(
        well, f"release on a, mirror on b, confirm on b, {TAKE}", move=TO_B, mirror=True
    ),
    "switchover, and its data do not arrive": Row(
        no_mirror, "release on a, mirror on b", move=TO_B, mirror=True
    ),
    "failback": Row(
        b_holds, "release on b, confirm on a, start on a, claim on a, prove on a", holder="b", move=BACK
    ),
}


@cache
def _metrics() -> Metrics:
    """Return metrics for all lives, which nothing here reads: making them takes as long as half a life."""
    metrics = Metrics()
    metrics.init_service("www", ("a", "b"))
    return metrics


class Life:
    """One run of the actuator over a world, a journal and a clock that outlive it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, row: Row) -> None:
        self.directory, self.values, self.row = directory, _site(row), row
        self.time = VirtualRuntime()
        self.world = World(
            {"a": MortalGate(held=True, processes=3, epoch=1), "b": MortalGate()}, fenceable=row.fenceable
        )
        row.fault(self.world)
        self.fate = Fate(None)
        b = self.world.gates["b"]

        def add(interface: str, address: InterfaceAddress, *, right_before: Callable[[], None]) -> None:
            self.fate.instant()
            right_before()
            b.held = True
            self.world.never_two()
            self.fate.instant()

        def remove(address: InterfaceAddress) -> None:
            self.fate.instant()
            b.held = False
            self.fate.instant()

        switched_off: set[str] = set()

        def turn(agent: FenceAgent, action: Literal["off", "on"], *, deadline_seconds: float) -> None:
            self.fate.instant()
            self.world.dead.add(agent.host)
            switched_off.add(agent.host)
            self.fate.instant()

        def power(agent: FenceAgent, *, deadline_seconds: float) -> Literal["on", "off"]:
            return "off" if agent.host in switched_off else "on"

        monkeypatch.setattr(FenceAgent, "turn", turn)
        monkeypatch.setattr(FenceAgent, "power", power)
        monkeypatch.setattr(fence, "_seen_off_at", {})
        monkeypatch.setattr(fence, "_locks", {})  # of this life's virtual time
        monkeypatch.setattr(netlink, "add", add)
        monkeypatch.setattr(netlink, "remove", remove)
        monkeypatch.setattr(netlink, "held", lambda addresses: {a.ip for a in addresses} if b.held else set())
        monkeypatch.setattr(claim, "announce", lambda interface, addresses: None)
        monkeypatch.setattr(prove, "announce", lambda interface, addresses: None)
        monkeypatch.setattr(hooks_module, "run", lambda words, environment, timeout_seconds: "")
        self._begin_journal()

    def _begin_journal(self) -> None:
        """Give this life a journal that names the holder: a copy, because there are thousands of lives."""
        first = self.directory.parent / f"first-{self.row.holder}.sqlite"
        if not first.exists():
            with self.time.running():
                journal = Journal(first)
                journal.set_holder("www", self.row.holder, 1)
                journal.close()
        self.directory.mkdir()
        shutil.copy(first, self.directory / "journal.sqlite")

    def live(self, trigger: str, fate: Fate) -> None:
        """Handle one incident, in virtual time; raises `Killed` where fate has it so."""
        with self.time.running():
            self._live(trigger, fate)

    def _live(self, trigger: str, fate: Fate) -> None:
        self.fate = fate
        MortalJournal.fate = MortalGate.fate = fate
        MortalGate.always = staticmethod(self.world.never_two)
        journal = self._writing = MortalJournal(self.directory / "journal.sqlite")
        try:
            mirrors = MortalMirrors(self.world, journal, fate)
            context = Context(
                self.values, "www", journal, _metrics(), self.world.gates, self.world, mirrors=mirrors
            )
            # As the patrol says that a host has come back, and as a worker begins.
            back = (
                frozenset("a") if self.row.fault is back_and_running and trigger != START_UP else frozenset()
            )
            number = journal.open_incident("www", trigger)
            move = None if trigger == START_UP else self.row.move
            begin_incident(context, number, returned=back, left_over=trigger == START_UP, move=move).handle(
                Until(LONGEST_SECONDS)
            )
            runtime.sleep(1.0)  # the threads that nothing waits for come to their end, too
        finally:
            journal.close()

    def lasting(self) -> object:
        """Return what outlives the process: time, journal, and the world without its count of looks."""
        world = {**vars(self.world), "looks": 0}
        return self.time.monotonic(), self._writing._db.total_changes, repr(world)

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """What is written down so far."""
        with self.time.running():
            journal = Journal(self.directory / "journal.sqlite")
            yield journal
            journal.close()

    def lose_power(self) -> None:
        """b is switched off and on again."""
        self.world.gates["b"].held = False
        self.world.gates["b"].processes = 0


@cache
def _site(row: Row) -> Site:
    """Return the site of a row, for all of its lives: it is not changed."""
    values = site(max_per_hour=60, **row.takeover)
    service = values.services["www"]
    if row.hooks:
        names = ("takeover", "release", "confirm", "start", "claim", "prove")
        hooks = {f"{when}_{name}": {"command": "true"} for when in ("before", "after") for name in names}
        service = type(service).model_validate({**service.model_dump(exclude_unset=True), "hooks": hooks})
    if row.mirror:
        service = service.model_copy(update={"mirror": Mirror(source=Path("/srv/www"))})
    hosts = dict(values.hosts)
    if row.fenceable:
        hosts["a"] = hosts["a"].model_copy(update={"fence": (FenceDevice(command=("true",), timeout=5),)})
    return values.model_copy(update={"services": {"www": service}, "hosts": hosts})


def _steps(life: Life) -> str:
    """Return the steps that were begun, in their order, once each."""
    with life.journal() as journal:
        events = [event for row in reversed(journal.incidents()) for event in row["events"]]
    begun = [f"{event['step']} on {event['host']}" for event in events if event["kind"] == "started"]
    return ", ".join(dict.fromkeys(begun))


DEATHS = {
    f"{name}, {how}": (row, power)
    for name, row in ROWS.items()
    for how, power in (("kill -9", False), ("power loss of b", True))
    if not (row.hooks and power)  # hooks change nothing there
}


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory in memory: there are thousands of journals, and nothing here takes this machine's power."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="locum-resume-") as directory:
        yield Path(directory)


@pytest.mark.parametrize(("row", "power"), DEATHS.values(), ids=DEATHS)
def test_killed_at_every_instant(
    row: Row, power: bool, in_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Life(monkeypatch, in_memory / "whole", row)
    counting = Fate(None, whole.lasting)
    whole.live("LocumServiceDown", counting)
    assert _steps(whole) == row.steps, "the plan that is meant"
    assert counting.passed >= 2 * (2 + row.steps.count(" on ")), "there was something to be killed in"
    assert len(counting.different) > 2 + row.steps.count(" on "), "each step leaves something"
    for at in counting.different:
        life = Life(monkeypatch, in_memory / str(at), row)
        with pytest.raises(Killed):
            life.live("LocumServiceDown", Fate(at))
        if power:
            life.lose_power()
        life.live(START_UP, Fate(None))
        with life.journal() as journal:
            ends_well(life, journal, at)
            says_which(life, journal, at)
        shutil.rmtree(life.directory)


def ends_well(life: Life, journal: Journal, at: int) -> None:
    """One host holds the address, it serves, the journal knows it, and no incident is left open."""
    world = life.world
    held = [holder(world)]
    story = [(event["kind"], event["text"]) for row in journal.incidents() for event in row["events"]]
    assert held != [None], (at, "no host holds it", story)
    assert world.service_through_address("www").outcome is Outcome.WELL, (at, story)
    beside = [
        name for name, gate in world.gates.items() if gate.processes and name not in {*held, *world.dead}
    ]
    assert beside == [], (at, "it runs on a host that does not hold it", story)
    assert journal.holder("www").host == held[0], (at, story)
    assert journal.open_incidents() == {}, (at, story)
    if life.row.mirror:
        assert world.data[held[0] or ""] == "new", (at, "what was acknowledged is lost", story)


def holder(world: World) -> str | None:
    """Return the one host that holds the address."""
    held = [name for name, gate in world.gates.items() if gate.held and name not in world.dead]
    assert len(held) < 2, held
    return held[0] if held else None


def says_which(life: Life, journal: Journal, at: int) -> None:
    """Where a step was under way, the incident says so, and whether it was finished or undone."""
    first = journal.incidents()[-1]
    kinds = [event["kind"] for event in first["events"]]
    if "resumed" not in kinds:
        return
    assert kinds[kinds.index("resumed") - 1] != "decided", at
    assert "interrupted in the middle of" in first["reason"], at
    before, now = first["holder_before"], holder(life.world)
    row = life.row
    moves = row.move is not None or "confirm on " in row.steps or f"release on {row.holder}" in row.steps
    word = f"finished: {now} is the holder now"
    if now == before:
        word = f"{'undone' if moves else 'finished'}: {now} is still the holder"
    assert before == life.row.holder
    assert word in first["reason"], (at, first["reason"])


def test_a_release_that_is_owed_to_a_host_that_came_back_is_made_up_for_at_the_start(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its return and its release: its return is not detected a second time."""
    life = Life(monkeypatch, in_memory / "life", ROWS["back, and running as well as the holder"])
    MortalGate.fate, MortalGate.always = Fate(None), staticmethod(life.world.never_two)
    with life.journal() as journal:
        worker = Worker(Context(life.values, "www", journal, Metrics(), life.world.gates, life.world))
        worker.start()
        give_up_at = runtime.monotonic() + 5.0
        while not journal.incidents() or journal.open_incidents():
            assert runtime.monotonic() < give_up_at, ("the first incident is not closed", journal.incidents())
            runtime.sleep(0.1)
        worker.end()
        worker.join(5)
        assert not worker.is_alive()
        (row,) = journal.incidents()
    assert row["outcome"] == "release"
    assert (
        row["reason"]
        == "a runs the service, which b holds: left over from an interrupted plan or an earlier holder"
    )
    assert life.world.gates["a"].processes == 0

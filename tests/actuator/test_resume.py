"""Killed at every single instant of every plan: the next start finishes or undoes it, and says which.

The instants are enumerated, not sampled: before and after every write of the journal, and before and after every
change a host is asked for. After each the world stands still, as after `kill -9`; with `power`, b loses what it
holds and runs as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection

import pytest
from fakes import FakeShell, FakeWorld, site

from locum_actuator import incident as incident_module
from locum_actuator import netlink
from locum_actuator.incident import Context, Incident
from locum_actuator.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps import claim, prove, respawn, start
from locum_inventory.model import Interface, Site
from locum_inventory.shell import ServiceStatus, Verb


class Killed(BaseException):
    """kill -9: nothing catches it."""


class HeldTwice(BaseException):
    """The worst that can happen: nothing catches it either."""


class Fate:
    """Kills at one instant; counts them all."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.passed = 0

    def instant(self) -> None:
        if self.passed == self.at:
            raise Killed
        self.passed += 1


class MortalJournal(Journal):
    """A journal whose process may be killed before and after each write."""

    fate = Fate(None)

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        self.fate.instant()
        with super()._write() as db:
            yield db
        self.fate.instant()


class MortalShell(FakeShell):
    """A gate whose caller may be killed before the verb arrives and before its answer does."""

    fate = Fate(None)
    always: Callable[[], None] = staticmethod(lambda: None)

    def change(self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float) -> ServiceStatus:
        self.fate.instant()
        after = super().change(verb, service, epoch, deadline_seconds=deadline_seconds)
        self.always()
        self.fate.instant()
        return after


class World(FakeWorld):
    """A fake world in which a restart cures what hung, and two holders are never."""

    def never_two(self) -> None:
        held = [name for name, shell in self.shells.items() if shell.held and name not in self.dead]
        if len(held) > 1:
            raise HeldTwice(held)
        for name, shell in self.shells.items():
            if shell.processes == 0:
                self.hung.discard(name)  # what was hung is gone; what starts next is well


def hung(world: World) -> None:
    world.hung.add("a")


def dead(world: World) -> None:
    world.dead.add("a")


def killed(world: World) -> None:
    world.shells["a"].processes = 0


def killed_for_good(world: World) -> None:
    world.shells["a"].processes = 0
    world.shells["a"].start_works = False


def unheld(world: World) -> None:
    world.shells["a"].held = False


def hung_and_b_does_not_start(world: World) -> None:
    world.hung.add("a")
    world.shells["b"].start_works = False


FAULTS = [hung, dead, killed, killed_for_good, unheld, hung_and_b_does_not_start]


class Life:
    """One run of the actuator over a world and a journal that outlive it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, values: Site) -> None:
        self.directory, self.values = directory, values
        self.world = World({"a": MortalShell(held=True, processes=3, epoch=1), "b": MortalShell()})
        self.fate = Fate(None)
        b = self.world.shells["b"]

        def add(interface: str, address: Interface) -> None:
            self.fate.instant()
            b.held = True
            self.world.never_two()
            self.fate.instant()

        def remove(address: Interface) -> None:
            self.fate.instant()
            b.held = False
            self.fate.instant()

        monkeypatch.setattr(netlink, "add", add)
        monkeypatch.setattr(netlink, "remove", remove)
        monkeypatch.setattr(netlink, "held", lambda addresses: {a.ip for a in addresses} if b.held else set())
        monkeypatch.setattr(claim, "announce", lambda interface, addresses: None)
        monkeypatch.setattr(prove, "announce", lambda interface, addresses: None)
        for module in (respawn, start, prove):
            monkeypatch.setattr(module, "ANSWER_SECONDS", 0.0)
        for name in ("KEEP_LOOKING_SECONDS", "WAITING_SECONDS"):
            monkeypatch.setattr(incident_module, name, 0.0)
        first = Journal(directory / "journal.sqlite")
        first.set_holder("www", "a", 1)
        first.close()

    def live(self, trigger: str, fate: Fate, seconds: float = 2.0) -> None:
        """Handle one incident; raises `Killed` where fate has it so."""
        self.fate = fate
        MortalJournal.fate = MortalShell.fate = fate
        MortalShell.always = staticmethod(self.world.never_two)
        ended = threading.Event()
        timer = threading.Timer(seconds, ended.set)
        timer.start()
        journal = MortalJournal(self.directory / "journal.sqlite")
        try:
            metrics = Metrics()
            metrics.know("www", ("a", "b"))
            context = Context(self.values, "www", journal, metrics, self.world.shells, self.world)
            Incident(context, journal.open_incident("www", trigger)).handle(ended)
        finally:
            timer.cancel()
            journal.close()

    def lose_power(self) -> None:
        """b is switched off and on again."""
        self.world.shells["b"].held = False
        self.world.shells["b"].processes = 0


@pytest.mark.parametrize("power", [False, True], ids=["kill -9", "power loss of b"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_killed_at_every_instant(
    fault: Callable[[World], None], power: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = site(max_per_hour=60)
    whole = Life(monkeypatch, tmp_path / "whole", values)
    fault(whole.world)
    counting = Fate(None)
    whole.live("LocumServiceDown", counting)
    assert counting.passed > 8, "there was something to be killed in"
    for at in range(counting.passed):
        life = Life(monkeypatch, tmp_path / str(at), values)
        fault(life.world)
        with pytest.raises(Killed):
            life.live("LocumServiceDown", Fate(at))
        if power:
            life.lose_power()
        life.live("start-up", Fate(None))
        ends_well(life, at)
        says_which(life, at)


def ends_well(life: Life, at: int) -> None:
    """One host holds the address, it serves, the journal knows it, and no incident is left open."""
    world, journal = life.world, Journal(life.directory / "journal.sqlite")
    held = [name for name, shell in world.shells.items() if shell.held and name not in world.dead]
    story = [(event["kind"], event["text"]) for row in journal.incidents() for event in row["events"]]
    assert len(held) == 1, (at, held, story)
    assert world.service_through_address("www").well, (at, story)
    beside = [
        name for name, shell in world.shells.items() if shell.processes and name not in {*held, *world.dead}
    ]
    assert beside == [], (at, "it runs on a host that does not hold it", story)
    assert journal.holder("www").host == held[0], (at, story)
    assert journal.open_incidents() == {}, (at, story)
    journal.close()


def says_which(life: Life, at: int) -> None:
    """Where a step was under way, the incident says so, and whether it was finished or undone."""
    journal = Journal(life.directory / "journal.sqlite")
    first = journal.incidents()[-1]
    kinds = [event["kind"] for event in first["events"]]
    journal.close()
    if "resumed" not in kinds:
        return
    assert kinds[kinds.index("resumed") - 1] != "decided", at
    assert "broken off in the middle of" in first["reason"], at
    before, after = first["holder_before"], life.world.shells["a"].held and "a" not in life.world.dead
    word = "undone, a holds as before" if after else "finished, b holds now"
    assert before == "a"
    assert word in first["reason"], (at, first["reason"])

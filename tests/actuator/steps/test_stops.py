"""Stopped between every two operations of every plan, and slowed at every write: no address is held by two hosts.

As test_crash_recovery.py enumerates the instants of a `kill -9`, these enumerate those of a SIGSTOP of 20 s: before
and after every write of the journal, every question and every change that a host is asked for. Meanwhile the world
heals: the old holder is well again and has the address, unless another host has it by then. Left out is what no
program can close: the moment between the last comparison of the evidence's age and the act that follows it. An
instant is left out too if the actuator has done nothing since the one before, and has read neither clock nor hosts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal

import pytest

from locum_actuator.system import netlink
from locum_actuator.system.fence_agent import FenceAgent
from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import ServiceStatus, Verb
from sim.virtual_time import VirtualRuntime
from tests.actuator.engine import test_crash_recovery as resume
from tests.actuator.engine.test_crash_recovery import (
    ROWS,
    Fate,
    Life,
    MortalGate,
    MortalJournal,
    Row,
    ends_well,
    in_memory,
)

__all__ = ["in_memory"]  # a fixture
STOP_SECONDS = 20.0
HEALTHY_SECONDS = 5.0  # a holder that has served for so long is healthy, as in docs/trust.md
QUESTIONS = ("confirm", "situation", "late_echo", "service_on", "service_through_address", "echoes")


class HealthyTaken(BaseException):
    """A holder that was well again was released or switched off."""


class StopGate(MortalGate):
    """A gate whose caller may be stopped before a verb arrives, which then comes late, and after it."""

    healthy: Callable[[StopGate], bool] = staticmethod(lambda gate: False)

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        if verb != "release":
            return super().run_verb(verb, service, epoch, deadline_seconds=deadline_seconds, permit=permit)
        # A release never comes too late: what it is sent for was compared by its sender, right before.
        if StopGate.healthy(self):
            raise HealthyTaken("released")
        after = super(MortalGate, self).run_verb(verb, service, epoch, deadline_seconds=deadline_seconds)
        self.always()
        self.fate.instant()
        return after


class Stop(Fate):
    """Stops the actuator at one instant, and the world heals meanwhile; counts the instants."""

    def __init__(
        self, at: int | None, stopped: Callable[[], None], state: Callable[[], object] = object
    ) -> None:
        super().__init__(at, state)
        self._stopped = stopped

    def end(self) -> None:
        self._stopped()


class StoppedLife(Life):
    """A life that may be stopped, and whose world heals meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, row: Row) -> None:
        super().__init__(monkeypatch, directory, row)
        self.healed_at = float("inf")
        for gate in self.world.gates.values():
            gate.__class__ = StopGate
        StopGate.healthy = staticmethod(self.is_healthy)

        def turn(agent: FenceAgent, action: Literal["off", "on"], *, deadline_seconds: float) -> None:
            if self.is_healthy(self.world.gates[agent.host]):
                raise HealthyTaken("switched off")
            self.world.dead.add(agent.host)
            off.add(agent.host)
            self.fate.instant()

        def power(agent: FenceAgent, *, deadline_seconds: float) -> Literal["on", "off"]:
            self.fate.instant()
            return "off" if agent.host in off and agent.host in self.world.dead else "on"

        off: set[str] = set()
        monkeypatch.setattr(FenceAgent, "turn", turn)
        monkeypatch.setattr(FenceAgent, "power", power)
        for name in QUESTIONS:
            monkeypatch.setattr(self.world, name, self._asked(getattr(self.world, name)))
        self.reads = 0
        for thing, names in (
            (self.time, ("since_boot",)),  # the clock that goes on during a stop
            (netlink, ("held",)),
            (self.world, ("life", "reach", "witness_answers")),
            *((gate, ("status", "last_status", "count_processes")) for gate in self.world.gates.values()),
        ):
            for name in names:
                monkeypatch.setattr(thing, name, self._counted(getattr(thing, name)))

    def _counted(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*words: Any, **more: Any) -> Any:
            self.reads += 1
            return read(*words, **more)

        return counted

    def known(self) -> object:
        """Return what differs between two instants at which a stop may have different consequences."""
        return self.lasting(), self.reads

    def _asked(self, question: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*words: object, **more: object) -> Any:
            self.fate.instant()
            answer = question(*words, **more)
            self.fate.instant()
            return answer

        return asked

    def is_healthy(self, gate: Any) -> bool:
        """Whether a shell is that of the old holder, which is well again and serves."""
        old = self.world.gates[self.row.holder]
        serves = gate.held and gate.processes and self.row.holder not in self.world.hung | self.world.dead
        long = self.time.since_boot() - self.healed_at > HEALTHY_SECONDS
        return long and gate is old and bool(serves) and self.row.move is None

    def stop(self) -> None:
        """Let 20 s go by, and the old holder come back."""
        self.heal()
        self.time.suspend(STOP_SECONDS)

    def heal(self) -> None:
        """Bring the old holder back, with service and address where no other host has the address by now."""
        name, world = self.row.holder, self.world
        gate = world.gates[name]
        world.dead.discard(name)
        world.hung.discard(name)
        gate.fault = None
        gate.refuse.clear()
        gate.boot_id = "b0070000-0000-4000-8000-000000000000"
        self.healed_at = self.time.since_boot()
        taken = any(other.held for other in world.gates.values() if other is not gate)
        gate.held, gate.processes = not taken, 0 if taken else 3


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a3_a13_stopped_at_every_instant(row: Row, in_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if row.hooks:
        pytest.skip("hooks change nothing here")
    whole = StoppedLife(monkeypatch, in_memory / "whole", row)
    counting = Stop(None, lambda: None, whole.known)
    whole.live("LocumServiceDown", counting)
    assert counting.passed >= 4 * (1 + row.steps.count(" on ")), "there was something to be stopped in"
    assert len(counting.different) >= 2 * (1 + row.steps.count(" on ")), "much happens in between"
    for at in counting.different:
        life = StoppedLife(monkeypatch, in_memory / str(at), row)
        life.live("LocumServiceDown", Stop(at, life.stop))
        with life.journal() as journal:
            ends_well(life, journal, at)
        shutil.rmtree(life.directory)


class SlowJournal(MortalJournal):
    """A journal each of whose writes takes long; at one of them the world heals."""

    slow: VirtualRuntime
    seconds = 0.0
    writes = 0
    heals_at: int | None = None
    heal: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        cls = type(self)
        cls.slow.suspend(cls.seconds)
        if cls.writes == cls.heals_at:
            cls.heal()
        cls.writes += 1
        with super()._write() as db:
            yield db


@pytest.mark.parametrize("seconds", [0.5, 2.0])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a3_slow_disk_and_the_world_heals_at_every_write(
    row: Row, seconds: float, in_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if row.hooks:
        pytest.skip("hooks change nothing here")
    monkeypatch.setattr(resume, "MortalJournal", SlowJournal)
    SlowJournal.seconds = seconds

    def live(name: str, heals_at: int | None) -> StoppedLife:
        life = StoppedLife(monkeypatch, in_memory / name, row)
        SlowJournal.slow = life.time
        SlowJournal.writes, SlowJournal.heals_at = 0, heals_at
        SlowJournal.heal = staticmethod(life.heal)
        life.live("LocumServiceDown", Stop(None, lambda: None))
        return life

    whole = live("whole", None)
    with whole.journal() as journal:
        ends_well(whole, journal, -1)
    done, meant = (
        steps.replace(f", confirm on {row.holder}", "") for steps in (resume._steps(whole), row.steps)
    )
    assert done == meant, "a slow disk alone changes nothing of what is done, but for a question more"
    for at in range(SlowJournal.writes):
        life = live(str(at), at)
        with life.journal() as journal:
            ends_well(life, journal, at)
        shutil.rmtree(life.directory)

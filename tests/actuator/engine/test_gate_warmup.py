"""Before its first look a worker logs in at the gates, and waits for no host that is dead."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from locum_actuator.domain.situation import Situation
from locum_actuator.engine import gate_warmup as greet_module
from locum_actuator.engine.context import Context
from locum_actuator.engine.gate_warmup import warm_up
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_inventory.gate.protocol import GateStatus
from tests.actuator.fakes import FakeGate, FakeWorld, site

pytestmark = pytest.mark.timed  # its deadlines are some tenths of a second

LOGIN_SECONDS = 0.6  # more than a check gives a gate


class SlowToLogIn(FakeGate):
    """A gate whose first answer takes as long as a login on a busy machine."""

    logged_in = False
    asked = 0

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Answer, the first time late."""
        self.asked += 1
        if not self.logged_in:
            time.sleep(min(LOGIN_SECONDS, deadline_seconds))
            self.logged_in = deadline_seconds > LOGIN_SECONDS
        return super().status(deadline_seconds=deadline_seconds)


class Watchful(FakeWorld):
    """A world that notes, at the first look, whether a's gate had been logged in at."""

    logged_in_at_first: bool | None = None
    looked: threading.Event

    def situation(self, service: str) -> Situation:
        """See all of it."""
        if self.logged_in_at_first is None:
            self.logged_in_at_first = getattr(self.gates["a"], "logged_in", False)
        self.looked.set()
        return super().situation(service)


@pytest.fixture
def world() -> Watchful:
    found = Watchful({"a": SlowToLogIn(held=True, processes=3, epoch=1), "b": FakeGate()})
    found.looked = threading.Event()
    return found


@pytest.fixture
def context(world: Watchful, tmp_path: Path) -> Context:
    return Context(site(), "www", Journal(tmp_path / "journal.sqlite"), Metrics(), world.gates, world)


def test_the_first_look_comes_after_the_login(context: Context, world: Watchful) -> None:
    """After a `kill -9` on a busy machine every look gave up before the login was over, for nine seconds."""
    worker = Worker(context)
    worker.start()
    assert world.looked.wait(5)
    worker.end()
    worker.join(5)
    assert world.logged_in_at_first is True


def test_a_dead_host_is_not_waited_for(context: Context, world: Watchful) -> None:
    world.dead.add("a")
    begun = time.monotonic()
    warm_up(context)
    assert time.monotonic() - begun < LOGIN_SECONDS / 2
    assert world.gates["a"].asked == 0  # type: ignore[attr-defined]


def test_a_gate_that_hangs_is_given_up(
    context: Context, world: Watchful, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hangs(*, deadline_seconds: float) -> GateStatus:
        released.wait(5)
        raise AssertionError("this must not be waited for")

    monkeypatch.setattr(greet_module, "GREET_SECONDS", 0.1)
    monkeypatch.setattr(world.gates["a"], "status", hangs)
    begun = time.monotonic()
    warm_up(context)
    released.set()
    assert time.monotonic() - begun < 2


def test_what_goes_wrong_keeps_nobody_from_looking(
    context: Context, world: Watchful, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(host: str) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(world, "echoes", broken)
    warm_up(context)
    world.gates["a"].fault = "refused"
    warm_up(context)

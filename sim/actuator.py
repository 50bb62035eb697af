"""The actuator as it ships: one process after another on its machine, started, stopped, killed, started again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from locum_actuator.domain.alerts import Alert
from locum_actuator.domain.plan import Move
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.move_requests import MoveRefusedError
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.recovery import open_journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps import fence
from locum_actuator.system import runtime
from locum_inventory.site.model import Site
from sim.disk import Disk
from sim.gate import SimulatedGates
from sim.host_gate import HostGate
from sim.observer import SimulatedObserver
from sim.processes import Process
from sim.world import World

T = TypeVar("T")
RESTART_SECONDS = (1.0, 3.0)
BOOT_SECONDS = 5.0  # from its machine's power to its start
ANSWER_SECONDS = 10.0  # that Alertmanager waits for the answer to a webhook
POLL_SECONDS = 0.25


@dataclass(slots=True)
class Actuator:
    """The actuator's process, and what starts it again when it has ended."""

    world: World
    site: Site
    service: str
    disk: Disk
    host_gates: dict[str, HostGate]
    chance: random.Random
    engine: Engine | None = None  # None: it does not run, or is about to end
    process: Process | None = None
    up_since: float = float("inf")  # since when it has run without being stopped
    paused_since: float = float("inf")  # since when the journal has had a pause
    began_at: float = float("inf")  # when its process had opened its journal
    began_with_epoch: int = 0  # the journal's, at that moment
    restores: int = 0  # how often an older copy of its journal was put in place
    may_be_paused: bool = False  # a person has paused the service, and did not succeed in resuming it
    # Alerts that were answered with 202, by when they began.
    accepted: Counter[str] = field(default_factory=Counter)
    _ends: runtime.Event = field(default_factory=runtime.event)
    _may_start_at: float = float("-inf")

    # -- its lives ---------------------------------------------------------------------------------------------

    def supervise(self, ended: runtime.Event) -> None:
        """Start it, and again whenever it has ended, as systemd does."""
        home, boots = self.world.hosts[self.world.home], self.world.hosts[self.world.home].boots
        while not ended.wait(POLL_SECONDS):
            if home.boots != boots and home.up:
                boots = home.boots
                self._may_start_at = self.world.now + BOOT_SECONDS
            if self.process is None and home.runs and self.world.now >= self._may_start_at:
                self.start()

    def start(self) -> None:
        """Start its process."""
        clocks = self.world.hosts[self.world.home].clocks
        self.process, self._ends = Process("actuator", clocks), runtime.event()
        self.world.happened("the actuator starts", self.world.home)
        self.world.virtual.spawn(self.process, self._run, name="actuator")

    def _run(self) -> None:
        """Do what server.py does: open the journal, run the engine until the end, and stop it."""
        process = self.process
        fence._locks.clear()  # of this process alone
        fence._seen_off_at.clear()
        try:
            journal = open_journal(self.disk.path, self.site.services)
            engine = Engine(self.site, journal, Metrics(), self._gates, self._observer)
        except JournalError as fault:
            self.world.happened(f"the actuator does not start: {fault}", self.world.home)
        else:
            self.engine, self.up_since = engine, self.world.now
            self.began_at, self.began_with_epoch = self.world.now, journal.holder(self.service).epoch
            engine.start()
            self._ends.wait()
            self.engine = None
            engine.stop()
            journal.close()
        if process is not None and process is self.process:
            self._gone(process, "the actuator has ended")

    def _gates(self, site: Site) -> SimulatedGates:
        return SimulatedGates(self.world, self.host_gates)

    def _observer(self, site: Site, gates: object) -> SimulatedObserver:
        assert isinstance(gates, SimulatedGates)
        return SimulatedObserver(self.world, site, gates)

    def _gone(self, process: Process, text: str) -> None:
        """Forget a process that has ended. If the caller is its thread it goes no further than its next wait."""
        self.world.virtual.kill(process)
        self.process = self.engine = None
        self.up_since = float("inf")
        self._may_start_at = self.world.now + self.chance.uniform(*RESTART_SECONDS)
        self.disk.killed()
        self.world.happened(text, self.world.home)

    def kill(self) -> None:
        """End its process as `kill -9` does, and as the power's end does."""
        if self.process is not None:
            self._gone(self.process, "the actuator is killed")

    def stop(self) -> None:
        """Ask it to end, as SIGTERM does."""
        self._ends.set()

    def freeze(self) -> None:
        """Stop its process, as SIGSTOP does."""
        if self.process is not None:
            self.process.stopped = True
            self.up_since = float("inf")

    def thaw(self, stood_still_seconds: float = 0.0) -> None:
        """Let it go on if its machine runs; its waits last longer by the time that its clock stood still."""
        if self.process is not None:
            self.world.virtual.put_off(self.process, stood_still_seconds)
            if self.world.hosts[self.world.home].runs:
                self.process.stopped = False
                self.up_since = self.world.now

    def journal_is_older(self, accepted: Counter[str]) -> None:
        """Note that its journal is an older copy now, and what had been accepted when that was made."""
        self.restores += 1
        self.accepted, self.paused_since, self.may_be_paused = accepted, float("inf"), True
        self.world.happened("an older copy of the journal is in its place", self.world.home)

    def reload(self, site: Site) -> None:
        """Have it read another site file."""
        self.site = site
        self._in_process(lambda engine: engine.reload(site), name="reload")

    def ask(self, question: Callable[[Engine], T]) -> T | None:
        """Return what it answers; None if it does not run, or if its journal cannot be read."""
        engine = self.engine
        if engine is None:
            return None
        try:
            return question(engine)
        except JournalError:
            return None

    # -- who calls it ------------------------------------------------------------------------------------------

    def _in_process(self, call: Callable[[Engine], object], *, name: str) -> None:
        """Make a call in a thread of its process, as its HTTP server does; nothing happens if it does not run."""
        engine = self.engine
        if engine is not None and self.process is not None:
            self.world.virtual.spawn(self.process, lambda: call(engine), name=name)

    def post(self, alerts: tuple[Alert, ...]) -> bool:
        """Send alerts to its webhook from another process; return whether it answered 202."""
        answer: list[bool] = []

        def handle(engine: Engine) -> None:
            try:
                engine.accept(alerts)
            except JournalError:
                answer.append(False)
            else:
                answer.append(True)

        self._in_process(handle, name="webhook")
        if not self.world.virtual.wait(lambda: bool(answer), ANSWER_SECONDS) or not answer[0]:
            return False
        self.accepted.update(alert.starts_at or "" for alert in alerts)
        return True

    def pause(self, seconds: float) -> None:
        """Pause the service, as `locum pause` does."""

        self.may_be_paused = True

        def pause(engine: Engine) -> None:
            with suppress(JournalError):
                engine.journal.pauses.begin(self.service, seconds, "new disk")
                self.paused_since = self.world.now

        self._in_process(pause, name="pause")

    def unpause(self) -> None:
        """End the pause."""

        def unpause(engine: Engine) -> None:
            with suppress(JournalError):
                self.paused_since = float("inf")
                engine.journal.pauses.end(self.service)
                self.may_be_paused = False

        self._in_process(unpause, name="resume")

    def move(self, move: Move) -> None:
        """Order a planned move."""

        def begin(engine: Engine) -> None:
            with suppress(MoveRefusedError, JournalError):
                engine.move_requests.begin(self.service, move)

        self._in_process(begin, name="move")

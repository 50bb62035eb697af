"""Run mirrors on schedule: a thread that checks once a second which services are due."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cronsim import CronSim

from locum_actuator.domain.mirror_run import MirrorResult
from locum_actuator.engine.periodic import PeriodicThread
from locum_actuator.mirror.manager import MirrorManager
from locum_actuator.system import runtime
from locum_actuator.system.background import Health
from locum_inventory.site.mirror import Mirror, age_seconds
from locum_inventory.site.model import Service

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
SETTLE_SECONDS = 60.0  # between two attempts to find out how unattended runs ended
RETRY_SECONDS = 300.0  # after a run that failed; one that was refused waits for its schedule
RETRIES = 3
JUMP_SECONDS = 5.0  # if the wall clock was set by more than this, all next runs are calculated again
END_SECONDS = 5.0


def next_time(mirror: Mirror, after: float) -> float:
    """Return when the next run after `after` is due, including jitter (both in seconds since the epoch)."""
    due = next(CronSim(mirror.schedule, datetime.fromtimestamp(after)))
    return due.timestamp() + age_seconds(mirror.jitter) * runtime.random()


@dataclass(slots=True)
class _Due:
    """The next scheduled run of a service."""

    schedule: str
    at: float
    retries: int = 0


class Schedule(PeriodicThread):
    """The thread that begins runs. `held_back` returns why a service must not be mirrored now, or None."""

    every_seconds = TICK_SECONDS
    log = log
    what_rests = "no scheduled mirror runs begin"
    known_as = "the mirror schedule"

    def __init__(
        self,
        mirrors: MirrorManager,
        held_back: Callable[[str], str | None],
        health: Health | None = None,
    ) -> None:
        super().__init__("mirrors", health)
        self._mirrors = mirrors
        self._held_back = held_back
        self._due: dict[str, _Due] = {}
        self._runs: dict[str, runtime.Thread] = {}

    def end(self) -> None:
        """Ask the thread to end, and abort current runs; the next start finds out how far they got."""
        super().end()
        self._mirrors.cancel_all("the actuator ends")

    def run(self) -> None:
        """Begin due runs until the thread is asked to end."""
        self._settled_at, self._clocks = float("-inf"), (runtime.wall_time(), runtime.monotonic())
        super().run()
        for thread in self._runs.values():
            thread.join(END_SECONDS)

    def tick(self) -> None:
        """Find out how unattended runs ended, detect a changed wall clock, and begin what is due."""
        if runtime.monotonic() - self._settled_at > SETTLE_SECONDS:
            self._settled_at = runtime.monotonic()
            self._mirrors.settle()
        last, self._clocks = self._clocks, (runtime.wall_time(), runtime.monotonic())
        if abs((self._clocks[0] - last[0]) - (self._clocks[1] - last[1])) > JUMP_SECONDS:
            self._due.clear()
        self.begin_due()

    def begin_due(self) -> None:
        """Check which services are due, and begin their runs, each in its own thread."""
        services = self._mirrors.site().services
        for name in self._due.keys() - services.keys():
            del self._due[name]
        for name, service in services.items():
            if service.mirror is None:
                self._due.pop(name, None)
                continue
            due = self._due.get(name)
            if due is None or due.schedule != service.mirror.schedule:
                due = self._due[name] = _Due(service.mirror.schedule, self._first(name, service.mirror))
            if runtime.wall_time() < due.at or self._is_running(name):
                continue
            due.at = next_time(service.mirror, runtime.wall_time())
            if (why := self._held_back(name)) is not None:
                log.info("not mirrored now: %s", why, extra={"event": "mirror_held_back", "service": name})
                continue
            thread = runtime.thread(self._run, args=(name, service, due), name=f"mirror-{name}")
            self._runs[name] = thread
            thread.start()

    def _first(self, name: str, mirror: Mirror) -> float:
        """Return when this process's first run is due: at once if one was missed while no actuator ran."""
        runs = self._mirrors.journal.mirrors.runs(name, limit=1)
        now = runtime.wall_time()
        return next_time(mirror, min(now, runs[0].started_at) if runs else now)

    def _is_running(self, name: str) -> bool:
        thread = self._runs.get(name)
        return thread is not None and thread.is_alive()

    def _run(self, name: str, service: Service, due: _Due) -> None:
        results = mirror_all(self._mirrors, name, service)
        if any(result.outcome == "failed" for result in results) and due.retries < RETRIES:
            due.retries += 1
            due.at = min(due.at, runtime.wall_time() + RETRY_SECONDS)
        else:
            due.retries = 0


def mirror_all(mirrors: MirrorManager, name: str, service: Service) -> list[MirrorResult]:
    """Mirror a service from its holder to every other host, one after the other."""
    holder = mirrors.journal.holder(name).host
    if holder is None:
        log.info(
            "not mirrored now: no holder is known",
            extra={"event": "mirror_held_back", "service": name},
        )
        return []
    return [mirrors.run(name, holder, host) for host in service.hosts if host != holder]

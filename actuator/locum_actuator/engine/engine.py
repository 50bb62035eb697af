"""Run the actuator: hold its site, run one worker per service, and accept alerts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from locum_actuator.domain.alerts import Alert
from locum_actuator.domain.patience import end_seconds
from locum_actuator.domain.ports import Gates
from locum_actuator.engine.alert_intake import take_in
from locum_actuator.engine.auto_failback import AutoFailback
from locum_actuator.engine.context import Context
from locum_actuator.engine.mirror_schedule import Schedule
from locum_actuator.engine.move_requests import MoveRequests
from locum_actuator.engine.site_reload import unwatched
from locum_actuator.engine.site_runtime import ClosableGates, ClosableObserver, RuntimeFactory, SiteRuntime
from locum_actuator.engine.standby_resync import StandbyResync
from locum_actuator.engine.succession import shared
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.metrics import BrakeCollector
from locum_actuator.metrics import Metrics
from locum_actuator.mirror.gate_commands import GateCommands
from locum_actuator.mirror.manager import MirrorManager
from locum_actuator.mirror.metrics import MirrorCollector
from locum_actuator.mirror.requested_runs import AskedRuns
from locum_actuator.observation.storm import StormDetector
from locum_actuator.system import runtime
from locum_actuator.system.background import Health
from locum_inventory.site.model import Site

log = logging.getLogger(__name__)


class Engine:
    """Everything that lives as long as the actuator."""

    def __init__(
        self,
        site: Site,
        journal: Journal,
        metrics: Metrics,
        make_gates: Callable[[Site], ClosableGates],
        make_observer: Callable[[Site, ClosableGates], ClosableObserver],
        *,
        health: Health | None = None,
    ) -> None:
        self.journal = journal
        self.metrics = metrics
        self.heartbeat_at: float | None = (
            None  # on the monotonic clock, so that setting the wall clock does not age it
        )
        self.mirrors = MirrorManager(
            lambda: self.site, journal, lambda site: GateCommands(site, site.actuator.host)
        )
        self.asked_mirrors = AskedRuns(self.mirrors)
        self.health = health or Health(metrics)
        self._factory = RuntimeFactory(
            journal, metrics, make_gates, make_observer, self.mirrors, self.health, StormDetector()
        )
        self._schedule = Schedule(self.mirrors, self._leave_alone, health=self.health)
        self._lock = runtime.lock()
        self._stopped = False
        self._retiring: list[runtime.Thread] = []
        self._leaving: list[Worker] = []  # of earlier readings; they may be in the middle of a plan
        self._runtime = self._factory.make(site, [])
        self.move_requests = MoveRequests(lambda: self.workers)
        self.failback = AutoFailback(lambda: self.workers, self.move_requests, health=self.health)
        self._homecoming = StandbyResync(lambda: self.workers, self.health)
        metrics.set_heartbeat_age_function(lambda: self.heartbeat_age_seconds)
        metrics.registry.register(BrakeCollector(journal, lambda: self.site))
        metrics.registry.register(MirrorCollector(self.mirrors))
        self._forget_unnamed()
        for name, host in journal.holders().items():
            if name not in site.services:
                log.warning("%s", unwatched(name, host), extra={"event": "unwatched", "service": name})

    @property
    def site(self) -> Site:
        """Return the site as it was last read."""
        return self._runtime.site

    @property
    def stopped(self) -> bool:
        """Return whether it was asked to stop."""
        return self._stopped

    @property
    def gates(self) -> Gates:
        """Return the gates, by host."""
        return self._runtime.gates

    @property
    def workers(self) -> Mapping[str, Worker]:
        """Return the workers, by service."""
        return self._runtime.workers

    @property
    def heartbeat_age_seconds(self) -> float | None:
        """Return how long ago the last heartbeat arrived; None if none has."""
        return None if self.heartbeat_at is None else runtime.monotonic() - self.heartbeat_at

    def hung_workers(self) -> str | None:
        """Describe workers that have died or are stuck for longer than a plan may take; None if none."""
        found = []
        for name, worker in self.workers.items():
            if not worker.is_alive():
                found.append(f"no worker for {name}")
            elif (seconds := worker.stuck_seconds) is not None:
                found.append(f"the worker for {name} has not moved for {seconds:.0f} s")
        return "; ".join(found) or None

    def _leave_alone(self, service: str) -> str | None:
        """Return why the schedule must not mirror a service now, or None."""
        worker = self.workers.get(service)
        if worker is None or self.site.services[service].takeover.mode == "observe":
            return "mode is observe"
        if worker.incident is not None:
            return f"incident {worker.incident} is open"
        return "it is paused" if self.journal.pauses.current(service) is not None else None

    def start(self) -> None:
        """Start the workers and the periodic threads."""
        self._start_workers()
        self._schedule.start()
        self.failback.start()
        self._homecoming.start()

    def _start_workers(self) -> None:
        for worker in self.workers.values():
            worker.start()

    def stop(self) -> None:
        """Stop the workers, each between two checks or after its current plan; addresses stay where they are."""
        with self._lock:
            self._stopped = True
            self._runtime.end()
            self._schedule.end()
            self.failback.end()
            self._homecoming.end()
        deadline = runtime.monotonic() + end_seconds(self.site)
        self._runtime.join(end_seconds(self.site))
        for thread in self._retiring:
            thread.join(max(0.0, deadline - runtime.monotonic()))

    def reload(self, site: Site) -> None:
        """Switch to another reading of the site file; open incidents continue under it.

        A worker in the middle of a plan finishes it under the old site. The new worker of its service, or of one of
        its addresses, waits for it: two workers for one address could give it to two hosts.
        """
        with self._lock:
            if self._stopped:
                return
            old = self._runtime
            leaving = [worker for worker in self._leaving if worker.is_alive()]
            leaving += old.workers.values()
            new = self._factory.make(site, leaving)
            self._leaving = leaving
            old.end()
            self._runtime = new
            self._start_workers()
            retiring = runtime.thread(self._retire, args=(old,), name="retire")
            self._retiring = [*(thread for thread in self._retiring if thread.is_alive()), retiring]
            retiring.start()
        log.info("reloaded: services %s", ", ".join(site.services), extra={"event": "reloaded"})

    def _retire(self, old: SiteRuntime) -> None:
        """Clean up after the old workers once their last plan has ended."""
        old.join()
        for name, service in old.site.services.items():
            now = self.site.services.get(name)
            self.metrics.remove_service(
                name, set(service.hosts) - set(now.hosts if now else ()), gone=now is None
            )
        try:
            self._forget_unnamed()
        except JournalError as fault:
            log.warning(
                "incidents of removed services stay open: %s",
                fault,
                extra={"event": "incidents_stay_open"},
            )

    def _forget_unnamed(self) -> None:
        """Close the incidents of services that are no longer in the site file and have no worker."""
        with self._lock:
            at_work = {worker.context.name for worker in self._leaving if worker.is_alive()}
            for name, incident in self.journal.open_incidents().items():
                if name not in self.workers and name not in at_work:
                    self.journal.close_incident(incident, "dropped", self._why_dropped(name))

    def _why_dropped(self, name: str) -> str:
        """Describe what happened to a service that is no longer in the site file."""
        gone = [worker.context.service for worker in self._leaving if worker.context.name == name]
        now = {
            new for service in gone for new, values in self.site.services.items() if shared(service, values)
        }
        if not now:
            return "the site file no longer names the service"
        return f"the site file names its address under {' and '.join(sorted(now))} now"

    def context(self, service: str) -> Context:
        """Return the context of a service; raises KeyError if the site does not name it."""
        return self.workers[service].context

    def accept(self, alerts: tuple[Alert, ...]) -> dict[str, int]:
        """Record alerts durably and wake the workers concerned; return the number of alerts per verdict.

        Raises `JournalError` if the journal cannot be written; then no worker was woken.
        """
        return take_in(alerts, self.workers, self.journal, self._record_heartbeat)

    def _record_heartbeat(self) -> None:
        self.heartbeat_at = runtime.monotonic()
        self.metrics.record_heartbeat()

"""One worker a service: a thread that waits for a reason to look, and patrols while there is none.

Services never wait for each other. One incident a service at a time: its worker is the only one that opens, works
and closes it.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from dataclasses import dataclass

from locum_actuator.incident import Context, Incident
from locum_actuator.journal import JournalFault
from locum_actuator.patrol import Patrol

log = logging.getLogger(__name__)

AFTER_FAULT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Wake:
    """Why a worker should look: an alert of the journal, or a reason of our own."""

    trigger: str
    alert: int | None = None
    returned: frozenset[str] = frozenset()  # hosts that were silent and answer again


class Worker(threading.Thread):
    """The one thread that handles a service."""

    def __init__(self, context: Context, after: Worker | None = None) -> None:
        super().__init__(name=f"worker-{context.name}", daemon=True)
        self.context = context
        self._after = after  # who handled the service before a reload
        self.incident: int | None = None  # the open one, for those who look
        self.patrol = Patrol(context)
        self._wakes: queue.SimpleQueue[Wake | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        context.metrics.know(context.name, context.service.hosts)
        context.tell_holder()

    def wake(self, trigger: str, alert: int | None = None) -> None:
        """Make the worker look; returns at once."""
        self._wakes.put(Wake(trigger, alert))

    def end(self) -> None:
        """Ask the worker to end; a held address stays where it is and an open incident stays open."""
        self._ended.set()
        self._wakes.put(None)

    def run(self) -> None:
        """Look once at the start, for nobody says how long the world went on without us; then wait and patrol."""
        self._succeed()
        wake: Wake | None = Wake("start-up")
        while not self._ended.is_set():
            wake = self._work(wake)
            if wake is None:
                wake = self._next_wake()
            else:
                self._ended.wait(AFTER_FAULT_SECONDS)

    def _work(self, wake: Wake | None) -> Wake | None:
        """Follow a reason to look, or go on patrol without one; return the reason where that is not over.

        Whatever it was that broke, the service still needs its worker, and a fault that was seen is still there.
        """
        try:
            if wake is None and (found := self.patrol.round()) is not None:
                wake = Wake(found.reason, returned=found.returned)
            if wake is not None:
                self._handle(wake)
        except JournalFault as fault:
            name = self.context.name
            log.error("%s: nothing is done while the journal cannot be written: %s", name, fault)
            return wake
        except Exception:
            log.exception("%s: the worker stumbled and goes on", self.context.name)
            return wake
        return None

    def _succeed(self) -> None:
        """Wait for the plan that the worker before is in the middle of: each of its steps has its deadline."""
        before, self._after = self._after, None
        if before is not None and before.is_alive():
            before.join()

    def _next_wake(self) -> Wake | None:
        if self._ended.is_set():
            return None
        try:
            return self._wakes.get(timeout=self.patrol.pause_seconds)
        except queue.Empty:
            return None

    def _handle(self, wake: Wake) -> None:
        context = self.context
        self.incident = context.journal.open_incident(context.name, wake.trigger)
        context.metrics.incident_open.labels(context.name).set(1)
        log.info("incident %d of %s: %s", self.incident, context.name, wake.trigger)
        if wake.alert is not None:
            context.journal.attach([wake.alert], self.incident)
        try:
            Incident(context, self.incident, wake.returned).handle(self._ended)
            self._attach_waiting(self.incident)
        finally:
            self.incident = None
            self.patrol.be_wary()
            context.metrics.incident_open.labels(context.name).set(0)
            context.tell_holder()

    def _attach_waiting(self, incident: int) -> None:
        """Count the alerts that came while we worked to the same incident: the look that closed it was later."""
        alerts: list[int] = []
        with contextlib.suppress(queue.Empty):
            while True:
                wake = self._wakes.get_nowait()
                if wake is not None and wake.alert is not None:
                    alerts.append(wake.alert)
        if alerts:
            self.context.journal.attach(alerts, incident)

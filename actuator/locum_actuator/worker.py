"""One worker a service: a thread that waits for a reason to look, and patrols while there is none.

Services never wait for each other. One incident a service at a time: its worker is the only one that opens, works
and closes it.
"""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass

from locum_actuator.incident import Context, Incident
from locum_actuator.journal import JournalFault
from locum_inventory.shell import ServiceStatus, ShellFault

log = logging.getLogger(__name__)

PATROL_SECONDS = 5.0  # between two looks at the gates while all is well
AFTER_FAULT_SECONDS = 1.0
STATUS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wake:
    """Why a worker should look: an alert of the journal, or a reason of our own."""

    trigger: str
    alert: int | None = None


class Worker(threading.Thread):
    """The one thread that handles a service."""

    def __init__(self, context: Context) -> None:
        super().__init__(name=f"worker-{context.name}", daemon=True)
        self.context = context
        self.incident: int | None = None  # the open one, for those who look
        self.alone = False  # nobody is left to stand in for the holder
        self.patrolled: dict[str, str] = {}  # what each host's gate said on the last patrol, in words
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
        wake: Wake | None = Wake("start-up")
        while not self._ended.is_set():
            try:
                if wake is not None:
                    self._handle(wake)
                elif (trigger := self._patrol()) is not None:
                    self._handle(Wake(trigger))
            except JournalFault as fault:
                log.error(
                    "%s: nothing is done while the journal cannot be written: %s", self.context.name, fault
                )
                self._ended.wait(AFTER_FAULT_SECONDS)
            except Exception:
                # Whatever it was, the service still needs its worker: the next wake or patrol looks anew.
                log.exception("%s: the worker stumbled and goes on", self.context.name)
                self._ended.wait(AFTER_FAULT_SECONDS)
            wake = self._next_wake()

    def _next_wake(self) -> Wake | None:
        if self._ended.is_set():
            return None
        try:
            return self._wakes.get(timeout=PATROL_SECONDS)
        except queue.Empty:
            return None

    def _handle(self, wake: Wake) -> None:
        context = self.context
        self.incident = context.journal.open_incident(context.name, wake.trigger)
        context.metrics.incident_open.labels(context.name).set(1)
        log.info("incident %d of %s: %s", self.incident, context.name, wake.trigger)
        if wake.alert is not None:
            context.journal.attach(wake.alert, self.incident)
        try:
            Incident(context, self.incident).handle(self._ended)
            self._attach_waiting(self.incident)
        finally:
            self.incident = None
            context.metrics.incident_open.labels(context.name).set(0)
            context.tell_holder()

    def _attach_waiting(self, incident: int) -> None:
        """Count the alerts that came while we worked to the same incident: the look that closed it was later."""
        while True:
            try:
                wake = self._wakes.get_nowait()
            except queue.Empty:
                return
            if wake is not None and wake.alert is not None:
                self.context.journal.attach(wake.alert, incident)

    def _patrol(self) -> str | None:
        """Ask every gate what it holds; return a reason to look closer, if there is one.

        This is how an address taken off by hand, or a returned host that brings it along, is noticed without any
        alert; and it tells whether somebody is left to stand in.
        """
        holder = self.context.memory().holder
        seen = {host: self._ask(host) for host in self.context.service.hosts}
        self.patrolled = {host: _words(answer) for host, answer in seen.items()}
        self.alone = not any(
            isinstance(answer, ServiceStatus) for host, answer in seen.items() if host != holder
        )
        self.context.metrics.alone.labels(self.context.name).set(self.alone)
        for host, answer in seen.items():
            if not isinstance(answer, ServiceStatus):
                continue
            if host == holder and not all(answer.held.values()):
                return f"patrol: {host} does not hold the address"
            if host != holder and any(answer.held.values()):
                return f"patrol: {host} holds the address and is not the holder"
        return None

    def _ask(self, host: str) -> ServiceStatus | str:
        name = self.context.name
        try:
            status = self.context.shells[host].status(deadline_seconds=STATUS_SECONDS).services.get(name)
        except ShellFault as fault:
            return f"gate silent: {fault}"
        return status if status is not None else f"its gate does not know {name}: run locum enrol {host}"


def _words(answer: ServiceStatus | str) -> str:
    if isinstance(answer, str):
        return answer
    held = "holds the address" if any(answer.held.values()) else "does not hold the address"
    return held if answer.processes is None else f"{held}, {answer.processes} processes"

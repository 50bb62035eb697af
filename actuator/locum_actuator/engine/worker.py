"""One worker per service: a thread that waits for a reason to check, and patrols meanwhile.

Services never wait for each other. There is one incident per service at a time, and only its worker opens, handles
and closes it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from locum_actuator.decision.planned_move import Obstacles
from locum_actuator.decision.standby_checklist import obstacles
from locum_actuator.domain.alerts import WOKE
from locum_actuator.domain.patience import longest_plan_seconds
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import Situation
from locum_actuator.engine.context import Context
from locum_actuator.engine.gate_warmup import warm_up
from locum_actuator.engine.incident import Incident
from locum_actuator.engine.move_incident import MoveRequest, begin_incident
from locum_actuator.engine.patrol import Patrol
from locum_actuator.engine.succession import Succession, predecessor
from locum_actuator.engine.wakes import Wake, WakeQueue
from locum_actuator.engine.without_journal import release_wrong_holder
from locum_actuator.journal.database import JournalError
from locum_actuator.metrics import worker_thread
from locum_actuator.system import runtime
from locum_actuator.system.background import BackgroundThread, Health, in_words
from locum_inventory.logs.fields import about

log = logging.getLogger(__name__)

START_UP = "start-up"  # the trigger of a worker's first check
AFTER_FAULT_SECONDS = 1.0


class Worker:
    """The thread that handles a service, with its state."""

    def __init__(
        self,
        context: Context,
        after: Sequence[Worker] = (),
        health: Health | None = None,
        succession: Succession | None = None,
    ) -> None:
        self.context = context
        self._health = health or Health(context.metrics)
        self._thread = BackgroundThread(worker_thread(context.name), self.run, self._health)
        self._ended = self._thread.ended
        self._after = tuple(after)  # the workers of the service or of its addresses before a reload
        self._succession = succession or Succession(context.journal)
        self.incident: int | None = None  # the open incident, for other threads
        self.patrol = Patrol(context)
        self._wakes = WakeQueue(context, self.patrol, self._ended)
        self._could_wait = True  # the last wait between two checks did not fail
        self._turned_at = runtime.monotonic()
        self._at_work: Incident | None = None
        context.metrics.init_service(context.name, context.service.hosts)
        context.update_holder_metric()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until the thread has ended, at most `timeout_seconds`."""
        self._thread.join(timeout_seconds)

    @property
    def stuck_seconds(self) -> float | None:
        """Return how long it has been stuck, if that is longer than any plan may take; otherwise None."""
        at_work = self._at_work
        seconds = runtime.monotonic() - max(
            self._turned_at, at_work.last_progress_at if at_work else self._turned_at
        )
        return seconds if seconds > longest_plan_seconds(self.context.site, self.context.service) else None

    @property
    def witnesses(self) -> Mapping[str, bool]:
        """Return which witnesses answered in the open incident's last check; empty if no incident is open."""
        look = self._last_look()
        return {} if look is None else look.witnesses

    @property
    def reach(self) -> Reach | None:
        """Return the last result through the service addresses: of the open incident, otherwise of the patrol."""
        look = self._last_look()
        return self.patrol.checks.reach if look is None else look.reach

    @property
    def gate_faults(self) -> Mapping[str, str | None]:
        """Return why each host's gate did not answer last, None if it did; hosts not yet asked are omitted."""
        look = self._last_look()
        if look is not None:
            return {host: view.gate_fault for host, view in look.hosts.items()}
        return {host: None if seen.gate else seen.text for host, seen in self.patrol.gates.items()}

    def _last_look(self) -> Situation | None:
        """Return the last situation of the open incident; None if none is open."""
        at_work = self._at_work
        return at_work.checks.last if at_work is not None and self.incident is not None else None

    def wake(self, trigger: str, alert: int | None = None) -> None:
        """Make the worker check the service; returns at once."""
        self._wakes.put(Wake(trigger, alert))

    def ask(self, asked: MoveRequest) -> None:
        """Queue a planned move for the worker; returns at once."""
        self._wakes.put(Wake(asked.move.verb, asked=asked))

    def end(self) -> None:
        """Ask the worker to end; a held address stays where it is and an open incident stays open."""
        self._ended.set()
        self._wakes.put(None)

    def run(self) -> None:
        """Check once at the start, because much may have changed while no actuator ran; then wait and patrol."""
        with about(service=self.context.name):
            self._run()

    def _run(self) -> None:
        self._succeed()
        if not self._ended.is_set():
            warm_up(self.context)
        wake: Wake | None = Wake(START_UP)
        while not self._ended.is_set():
            self._turned_at = runtime.monotonic()
            wake = self._work(wake)
            if wake is None:
                wake = self._wait()
            else:
                self._ended.wait(AFTER_FAULT_SECONDS)
        self._wakes.close()

    def _work(self, wake: Wake | None) -> Wake | None:
        """Handle a wake, or patrol if there is none; return the wake if it has to be repeated.

        After any exception the service still needs its worker, and a detected fault is still there.
        """
        try:
            if wake is None and (found := self.patrol.round(self._wakes.interrupts_patrol)) is not None:
                wake = Wake(found.reason, returned=found.returned)
            if wake is not None:
                self._handle(wake)
        except JournalError as fault:
            self._health.failed(self._thread.name, fault)
            log.error(
                "no action is taken while the journal cannot be written: %s",
                fault,
                extra={"event": "journal_not_written"},
            )
            self._release_without_journal()
            return _again(wake)
        except Exception as fault:
            self._health.failed(self._thread.name, fault)
            log.exception(
                "unexpected error in the worker, which continues", extra={"event": "unexpected_error"}
            )
            return _again(wake)
        if self._could_wait:
            self._health.succeeded(self._thread.name)
        return None

    def _release_without_journal(self) -> None:
        """Release the wrong one of two holders; a failure is tried again."""
        try:
            release_wrong_holder(self.context)
        except Exception as fault:
            self._health.failed(self._thread.name, fault)
            log.exception("a check without the journal failed", extra={"event": "unexpected_error"})

    def _wait(self) -> Wake | None:
        """Wait for a wake; if the wait itself fails, pause briefly and continue with a patrol."""
        self._could_wait = False
        try:
            wake = self._wakes.wait()
        except Exception as fault:
            self._health.failed(self._thread.name, fault)
            log.exception(
                "unexpected error in the worker, which continues", extra={"event": "unexpected_error"}
            )
            self._ended.wait(AFTER_FAULT_SECONDS)
            return None
        self._could_wait = True
        return wake

    def _succeed(self) -> None:
        """Wait until the earlier workers have finished their plans: each of their steps has a deadline."""
        for worker in self._after:
            if worker.is_alive():
                worker.join()
        before = [(worker.context.name, worker.context.service) for worker in self._after]
        context = self.context
        known = predecessor(context.name, context.service, before)
        if known is not None and not self._ended.is_set():
            self._succession.inherit(context.name, known, context.site.services)
            context.update_holder_metric()
        self._after = ()

    def _handle(self, wake: Wake) -> None:
        asked = wake.asked
        if asked is not None and not asked.take():
            return
        try:
            self._handle_taken(wake)
        except BaseException as fault:
            if asked is not None:
                asked.fail(in_words(fault))
            raise

    def _handle_taken(self, wake: Wake) -> None:
        context = self.context
        self.incident = context.journal.open_incident(context.name, wake.trigger)
        with about(incident=self.incident):
            self._handle_incident(wake, self.incident)

    def _handle_incident(self, wake: Wake, number: int) -> None:
        context = self.context
        context.metrics.incident_open.labels(context.name).set(1)
        log.info("opened: %s", wake.trigger, extra={"event": "incident_opened", "trigger": wake.trigger})
        if wake.alert is not None:
            context.journal.attach([wake.alert], number)
        if wake.trigger == START_UP:
            # Alerts that were accepted but not handled when the actuator died belong to this check.
            context.journal.attach(context.journal.unattended(context.name, WOKE), number)
        try:
            self._at_work = self._begun(number, wake)
            self._at_work.handle(self._ended)
            self._attach_waiting(self._at_work.number)
        finally:
            self.incident = None
            if (done := self._at_work) is not None:
                self.patrol.poll_faster(announce=done.checks.doubtful, missing=frozenset(done.checks.silent))
            context.metrics.incident_open.labels(context.name).set(0)
            context.update_holder_metric()

    def obstacles(self) -> Obstacles:
        """Return what else prevents a planned move to each host, besides what a check shows."""
        return {host: obstacles(items) for host, items in self.patrol.checklists().items()}

    def _begun(self, number: int, wake: Wake) -> Incident:
        """Return the incident of a fault, of a planned move, or of a move that a crash interrupted."""
        context = self.context
        asked = wake.asked
        move = None if asked is None else asked.move
        incident = begin_incident(
            context,
            number,
            returned=wake.returned,
            # It is not known what ran before the start: a release may be due that had not even begun.
            left_over=wake.trigger == START_UP,
            move=move,
            obstacles=self.obstacles(),
        )
        if asked is not None:
            asked.answer(number)
        return incident

    def _attach_waiting(self, incident: int) -> None:
        """Attach alerts that arrived during the incident to it: the check that closed it was later."""
        alerts: list[int] = []
        for wake in self._wakes.take_all():
            if wake.alert is not None:
                alerts.append(wake.alert)
            if wake.asked is not None:
                wake.asked.answer(None)
        if alerts:
            self.context.journal.attach(alerts, incident)


def _again(wake: Wake | None) -> Wake | None:
    """Return the wake to repeat after a failure; a planned move is not repeated automatically."""
    return None if wake is None else replace(wake, asked=None)

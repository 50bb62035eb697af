"""Handle requests for planned moves until a worker takes them, one at a time per service.

If a mirror is configured, the data are copied first, while the holder still serves and its worker still watches it.
Only then does the worker get the move, so that the service is interrupted only for the last short pass and the
move.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from locum_actuator.decision.planned_move import decide_move, may_pass
from locum_actuator.domain.mirror_run import Changes, MirrorError, Mirrors, RunOptions
from locum_actuator.domain.mirror_run import Progress as MirrorProgress
from locum_actuator.domain.plan import Move, Plan
from locum_actuator.domain.situation import Situation
from locum_actuator.engine.incident import KEEP_LOOKING_SECONDS
from locum_actuator.engine.move_incident import MOVES, MoveRequest
from locum_actuator.engine.worker import Worker
from locum_actuator.system import runtime
from locum_actuator.system.background import in_words
from locum_inventory.errors import LocumError
from locum_inventory.logs.fields import about

log = logging.getLogger(__name__)

TAKEN_UP_SECONDS = 10.0  # a patrol round that is under way is stopped within much less


Phase = Literal["copying", "waiting", "moving", "done", "refused", "failed"]


class MoveRefusedError(LocumError):
    """Raised if the move does not begin; the text says why."""


@dataclass(slots=True)
class Progress:
    """The progress of a move. `incident` contains its steps once it has begun.

    It ends in exactly one of `done`, `refused` (it did not begin) and `failed`.
    """

    number: int
    service: str
    move: Move
    phase: Phase = "waiting"
    text: str = ""
    incident: int | None = None


class MoveRequests:
    """Begins planned moves. `workers` returns those of the site as it was last read. Threads may share it."""

    def __init__(self, workers: Callable[[], Mapping[str, Worker]]) -> None:
        self._workers = workers
        self._lock = runtime.lock()
        self._looking = runtime.lock()
        self._begun: dict[str, Progress] = {}  # the last move of each service
        self._count = 0

    def progress(self, service: str) -> Progress | None:
        """Return the progress of the last move of a service that was requested since the start."""
        progress = self._begun.get(service)
        if progress is not None and progress.phase == "moving" and progress.incident is not None:
            worker = self._workers().get(service)
            ending = None if worker is None else worker.context.journal.ending(progress.incident)
            if ending is not None:
                outcome, progress.text = ending
                progress.phase = _end_of(outcome)
        return progress

    def look(self, service: str, move: Move) -> tuple[Plan, Situation]:
        """Check now and return the plan that a move would have; changes nothing."""
        context = self._workers()[service].context
        # One at a time: requested checks must not keep gates busy that incidents need.
        if not self._looking.acquire(timeout=TAKEN_UP_SECONDS):
            raise MoveRefusedError("another check is under way; try again")
        try:
            begun, looks = runtime.monotonic(), 0
            while True:
                looks += 1
                situation = context.observer.situation(service)
                plan = self.judge(service, move, situation)
                if not may_pass(plan, situation, context.memory(), looks, runtime.monotonic() - begun):
                    break
                runtime.sleep(KEEP_LOOKING_SECONDS)
        finally:
            self._looking.release()
        return plan, situation

    def judge(self, service: str, move: Move, situation: Situation) -> Plan:
        """Return the plan that a move would have in a given situation."""
        worker = self._workers()[service]
        context = worker.context
        return decide_move(move, situation, context.memory(), context.service, worker.obstacles())

    def begin(self, service: str, move: Move) -> Progress:
        """Begin a move in its own thread. Raises `MoveRefusedError` if it cannot begin."""
        with self._lock:
            under_way = self._begun.get(service)
            if under_way is not None and under_way.phase in {"copying", "waiting"}:
                raise MoveRefusedError(f"a {under_way.move.verb} of {service} is already under way")
            worker = self._workers()[service]
            if worker.incident is not None:
                raise MoveRefusedError(f"incident {worker.incident} of {service} is open: it comes first")
            self._count += 1
            progress = self._begun[service] = Progress(self._count, service, move)
        try:
            runtime.thread(self._run, args=(progress,), name=f"move-{service}").start()
        except RuntimeError as fault:  # no more threads are available
            progress.text, progress.phase = f"it was not begun: {fault}", "failed"
        return progress

    def _run(self, progress: Progress) -> None:
        with about(service=progress.service):
            self._carry_out(progress)

    def _carry_out(self, progress: Progress) -> None:
        try:
            self._hand_over(self._copy(progress))
        except MoveRefusedError as fault:
            progress.text, progress.phase = str(fault), "refused"
            log.warning("%s not begun: %s", progress.move.verb, fault, extra={"event": "move_refused"})
        except BaseException as fault:  # the requester must not wait any longer, whatever the fault
            progress.text, progress.phase = f"it was not begun: {in_words(fault)}", "failed"
            log.exception("%s not begun", progress.move.verb, extra={"event": "move_failed"})

    def _copy(self, progress: Progress) -> Progress:
        """Mirror to the target while the holder still serves; raises `MoveRefusedError` if that fails."""
        service, move = progress.service, progress.move
        context = self._workers()[service].context
        holder = context.journal.holder(service).host
        if not context.mirrors.is_configured(service) or holder is None:
            return progress
        plan, _ = self.look(service, move)
        if not plan.acts or plan.target is None:
            return progress  # the worker reports why, and records it
        progress.phase, target = "copying", plan.target
        progress.text = f"mirrors from {holder} to {target}; {holder} keeps serving"
        discard = move.discard_changes_on
        if discard not in {None, target}:
            raise MoveRefusedError(f"{discard} holds {service}: only changes on {target} can be discarded")
        if discard is None:
            _refuse_divergence(context.mirrors, service, holder, target)

        def report(done: MirrorProgress) -> None:
            progress.text = f"mirrors to {target}: directory {done.tree} of {done.trees}, {done.percent} %"

        wish = RunOptions(discard_changes=discard is not None, on_progress=report)
        result = context.mirrors.run(service, holder, target, wish)
        if not result.done:
            raise MoveRefusedError(f"the data could not be mirrored to {target}: {result.text}")
        progress.text = f"mirrored to {target}: {result.text}"
        progress.move = replace(move, target=target) if move.verb == "switchover" else move
        return progress

    def _hand_over(self, progress: Progress) -> None:
        """Hand the move to the worker, and wait until it has begun."""
        worker = self._workers()[progress.service]
        asked, progress.phase = MoveRequest(progress.move), "waiting"
        worker.ask(asked)
        if not asked.wait(TAKEN_UP_SECONDS):
            raise MoveRefusedError("its worker is busy and did not accept the move: see `locum status`")
        if asked.fault is not None:
            progress.text, progress.phase = f"it was not begun: {asked.fault}", "failed"
            return
        if asked.incident is None:
            raise MoveRefusedError("a fault came first: see `locum incidents`")
        progress.incident, progress.phase = asked.incident, "moving"


def _end_of(outcome: str) -> Phase:
    """Return a move's final phase from the outcome of its incident."""
    if outcome in MOVES or outcome == "already":
        return "done"
    return "refused" if outcome == "refused" else "failed"


def _refuse_divergence(mirrors: Mirrors, service: str, holder: str, target: str) -> None:
    """Raise `MoveRefusedError` if each host has data that the other lacks: a person has to decide."""
    try:
        found = mirrors.divergence(service, holder, target)
    except MirrorError:
        return  # they never had the same data, or it is not known: the run itself refuses if necessary
    if not found.both:
        return
    since = f"{datetime.strptime(str(found.since), '%Y%m%d%H%M%S'):%Y-%m-%d %H:%M:%S}"
    sides = "; ".join(_words(side) for side in (found.one, found.other))
    raise MoveRefusedError(
        f"both sides have changed since the mirror run of {since} UTC: {sides}. To discard the changes on"
        f" {target}, which are kept aside there: --discard-changes-on {target}"
    )


def _words(side: Changes) -> str:
    return f"{side.count} changes on {side.host} ({', '.join(side.examples[:5])})"

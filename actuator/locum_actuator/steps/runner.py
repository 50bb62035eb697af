"""Run a plan step by step; each step is written to the journal before it begins and after it ended.

If a step fails, the steps before it are undone, last first, so that the service does not end up on no host at all.
If an undo fails, the undoing ends: to give an address back while the new host may still have it would put it on two
hosts, which is worse than on none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps.base import Step, StepContext, StepError
from locum_actuator.steps.claim import Claim
from locum_actuator.steps.claim_by_command import ClaimByCommand
from locum_actuator.steps.confirm import Confirm
from locum_actuator.steps.fence import Fence
from locum_actuator.steps.final_sync import LastPass
from locum_actuator.steps.first_answer import SameAnswerError, StillStartingError
from locum_actuator.steps.hooks import HookAbortError, Hooks
from locum_actuator.steps.plan_evidence import EvidenceTooOldError, NotDueError
from locum_actuator.steps.prove import Prove
from locum_actuator.steps.release import Release
from locum_actuator.steps.respawn import Respawn
from locum_actuator.steps.start import Start
from locum_actuator.steps.step_rows import StepRows, log_fields
from locum_actuator.system import runtime

log = logging.getLogger(__name__)

# Steps that remove something or change nothing need no journal.
_WITHOUT_A_ROW = frozenset({"release", "prove"})

ASKS = 3  # checks of the address for one step, if each answer has become too old to act on

_QUESTIONS = frozenset({"confirm", "prove"})  # steps that check, and move nothing

_STEPS: Mapping[str, type[Step]] = {
    "respawn": Respawn,
    "release": Release,
    "fence": Fence,
    "mirror": LastPass,
    "confirm": Confirm,
    "start": Start,
    "claim": Claim,
    "prove": Prove,
}


def _gives(spec: PlannedStep, plan: Plan) -> bool:
    """Return whether a step gives a host something that no other host may have at that time.

    A start while the old holder still serves (`takeover.start: during_release`) does not.
    """
    if spec.name not in {"start", "claim"}:
        return False
    later = plan.steps[plan.steps.index(spec) + 1 :]
    return not any(step.name in {"release", "fence"} for step in later)


def _made(spec: PlannedStep, context: StepContext) -> Step:
    if spec.name == "claim" and context.service.address_commands is not None:
        return ClaimByCommand(context, spec.host)
    return _STEPS[spec.name](context, spec.host)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a plan. `undone` says whether all steps before the fault were undone."""

    done: bool
    text: str
    undone: bool = True
    failed: PlannedStep | None = field(default=None, compare=False)  # the step that did not work
    tried: bool = field(default=True, compare=False)  # False: this host could not request that step
    same_answer: bool = field(default=False, compare=False)  # the started service answers wrongly too
    slow: bool = field(default=False, compare=False)  # a start took too long and still runs
    moved: bool = field(default=True, compare=False)  # whether a step began that does more than check
    proof: str | None = field(default=None, compare=False)  # what the proof found, if the plan has one


class Sequence:
    """Runs one plan of an incident."""

    def __init__(self, journal: Journal, metrics: Metrics, incident: int) -> None:
        self._journal = journal
        self._metrics = metrics
        self._rows = StepRows(journal, incident)
        self._counted = False  # a step that moves something is about to begin, or has
        self._moved = False
        self._proof: str | None = None

    def run(self, plan: Plan, context: StepContext, begins: Callable[[], None] = lambda: None) -> Outcome:
        """Run every step of a plan, or undo what was done; `begins` is called before anything moves."""
        outcome = self._run(plan, context, begins)
        return replace(outcome, moved=self._moved)

    def _run(self, plan: Plan, context: StepContext, begins: Callable[[], None]) -> Outcome:
        finished: list[tuple[PlannedStep, Step]] = []
        hooks = Hooks(context, self._metrics, self._rows.note_hook)
        for spec in plan.steps:
            step = _made(spec, context)
            newest = self._journal.holder(context.name).epoch
            if newest > context.epoch:
                # Nothing is undone either: the current state may be the newer plan's work.
                text = f"epoch {context.epoch} is older than {newest}: another plan has begun since"
                return Outcome(False, text, undone=False, failed=spec)
            try:
                if spec is plan.steps[0]:
                    hooks.before_plan()
                hooks.before(spec.name, spec.host)
                if spec.name not in _QUESTIONS and not self._counted:
                    begins()  # nothing has moved so far, so a journal that cannot be written ends the plan
                    self._counted = True
                self._one(spec, step, context, gives=_gives(spec, plan))
            except HookAbortError as fault:
                self._metrics.step_failures.labels(context.name, spec.name).inc()
                return Outcome(False, str(fault), self._undo(finished, context), spec)
            except StepError as fault:
                self._metrics.step_failures.labels(context.name, spec.name).inc()
                return self._after_failure(spec, step, fault, finished, context)
            context.evidence.let_go |= spec.name == "release" and spec.host == context.old_holder
            hooks.after(spec.name, spec.host)
            finished.append((spec, step))
        hooks.after_plan()
        return Outcome(True, plan.reason, proof=self._proof)

    def _after_failure(
        self,
        spec: PlannedStep,
        step: Step,
        fault: StepError,
        finished: list[tuple[PlannedStep, Step]],
        context: StepContext,
    ) -> Outcome:
        """Undo what has to be undone after a step failed, and return the result of the plan."""
        if spec.name == "prove" or (spec.name == "claim" and spec.host == context.old_holder):
            # The address is where it should be, or belongs on no other host: undoing would not help, and
            # giving back what another host released would put it on two. The next check decides.
            return Outcome(False, str(fault), undone=False, failed=spec, tried=fault.tried)
        if isinstance(fault, StillStartingError) and (spec.name == "respawn" or context.only_candidate):
            # No other host could serve: a slow service may still answer, a stopped one cannot.
            return Outcome(False, str(fault), undone=False, failed=spec, slow=True)
        # A release that was never sent changed nothing: its undo would start a running service again.
        begun = [] if spec.name == "release" and not fault.tried else [(spec, step)]
        undone = self._undo([*finished, *begun], context)
        same = isinstance(fault, SameAnswerError)
        return Outcome(False, str(fault), undone, spec, tried=fault.tried, same_answer=same)

    def _one(self, spec: PlannedStep, step: Step, context: StepContext, *, gives: bool) -> None:
        self._start(spec, context)
        begun = runtime.monotonic()
        if gives:
            self._rows.hold_back()
        try:
            if not gives and step.already():
                self._rows.note("already", spec, "already done", runtime.monotonic() - begun)
                return
            text = self._in_time(spec, step, context, gives=gives)
            self._moved |= spec.name not in _QUESTIONS
        except StepError as fault:
            self._moved |= fault.tried and spec.name not in _QUESTIONS
            self._rows.note("failed", spec, str(fault), runtime.monotonic() - begun)
            raise
        except (EvidenceTooOldError, NotDueError) as fault:
            self._rows.note("failed", spec, str(fault), runtime.monotonic() - begun)
            raise StepError(str(fault), tried=False) from fault
        except Exception as fault:
            # An exception in a step must not end the worker: the step has failed.
            log.exception("%s broke", spec, extra={"event": "step_broke", **log_fields(spec)})
            self._moved |= spec.name not in _QUESTIONS
            self._rows.note("failed", spec, f"{type(fault).__name__}: {fault}", runtime.monotonic() - begun)
            raise StepError(f"{spec} broke: {fault}") from fault
        finally:
            self._rows.write_held_back()
        seconds = runtime.monotonic() - begun
        if spec.name == "prove":
            self._proof = text
        self._metrics.step_seconds.labels(spec.name).observe(seconds)
        self._rows.note("done", spec, text, seconds)

    def _start(self, spec: PlannedStep, context: StepContext) -> None:
        """Record that a step begins and, for a claim, the new holder; raises `StepError`."""
        try:
            self._rows.note("started", spec, f"epoch {context.epoch}", must=spec.name not in _WITHOUT_A_ROW)
            if spec.name == "claim":
                # Before the address is added: if the actuator dies in between, the journal must already name the
                # new holder.
                holds = partial(self._journal.set_holder, context.name, spec.host, context.epoch)
                self._rows.write(holds, must=True)
        except JournalError as fault:
            if not self._rows.begun:
                raise
            raise StepError(f"{spec} was not begun: {fault}", tried=False) from fault

    def _in_time(self, spec: PlannedStep, step: Step, context: StepContext, *, gives: bool) -> str:
        """Run a step on fresh evidence. Raises `EvidenceTooOldError` if there is none."""
        context.evidence.beside_holder = spec.name == "start" and not gives
        for left in reversed(range(ASKS)):
            if gives and context.evidence.should_ask():
                self._ask(spec, context)
            if context.evidence.beside_holder:
                context.evidence.require_due(spec)
            try:
                if gives and step.already():
                    return "already done"
                return step.do()
            except EvidenceTooOldError:
                if not left or not (gives or context.evidence.beside_holder):
                    raise
        raise AssertionError("the last try returns or raises")

    def _ask(self, spec: PlannedStep, context: StepContext) -> None:
        """Check the address again before something is given to a host: the old holder may be back."""
        asked, begun = PlannedStep("confirm", spec.host), runtime.monotonic()
        self._rows.note("started", asked, f"epoch {context.epoch}")
        try:
            text = Confirm(context, spec.host).do()
        except StepError as fault:
            self._rows.note("failed", asked, str(fault), runtime.monotonic() - begun)
            raise
        self._rows.note("done", asked, text, runtime.monotonic() - begun)

    def _undo(self, steps: list[tuple[PlannedStep, Step]], context: StepContext) -> bool:
        for spec, step in reversed(steps):
            try:
                text = step.undo()
            except StepError as fault:
                self._rows.note("undo_failed", spec, str(fault))
                return False
            except Exception as fault:
                log.exception("undoing %s broke", spec, extra={"event": "step_broke", **log_fields(spec)})
                self._rows.note("undo_failed", spec, f"{type(fault).__name__}: {fault}")
                return False
            if text is None:
                continue
            if spec.name == "claim" and context.old_holder is not None:
                self._rows.write(
                    partial(self._journal.set_holder, context.name, context.old_holder, context.epoch)
                )
            self._rows.note("undone", spec, text)
        return True

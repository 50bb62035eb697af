"""Run a plan step by step; the journal hears of each before it begins and after it ended.

A step that fails makes those before it be undone, last first, so that the service does not end up on no host at
all. An undo that fails ends the undoing: to give an address back while the new host may still have it would put it
on two hosts, which is worse than on none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from locum_actuator.hooks import HookAbort, Hooks
from locum_actuator.journal import Journal, JournalFault
from locum_actuator.metrics import Metrics
from locum_actuator.plan import Plan
from locum_actuator.plan import Step as StepOfPlan
from locum_actuator.steps.base import Hands, Step, StepFault
from locum_actuator.steps.claim import Claim
from locum_actuator.steps.claim_by_command import ClaimByCommand
from locum_actuator.steps.confirm import Confirm
from locum_actuator.steps.fence import Fence
from locum_actuator.steps.last_pass import LastPass
from locum_actuator.steps.prove import Prove
from locum_actuator.steps.release import Release
from locum_actuator.steps.respawn import Respawn
from locum_actuator.steps.start import Start

log = logging.getLogger(__name__)

# How long a look at the wire holds good where the old holder let go by its own word …
CONFIRMED_SECONDS = 1.0
# … and where it was silent: its cable may be plugged, or its power be back, while the service starts here.
SILENCE_CONFIRMED_SECONDS = 0.05

_QUESTIONS = frozenset({"confirm", "prove"})  # steps that ask, and move nothing

_STEPS: Mapping[str, type[Respawn | Release | Fence | LastPass | Confirm | Start | Claim | Prove]] = {
    "respawn": Respawn,
    "release": Release,
    "fence": Fence,
    "mirror": LastPass,
    "confirm": Confirm,
    "start": Start,
    "claim": Claim,
    "prove": Prove,
}


# What comes of a step as the log judges it; all else is as it should be.
_LEVELS = {"failed": logging.ERROR, "undo_failed": logging.ERROR, "undone": logging.WARNING}


def _of(spec: StepOfPlan) -> dict[str, str]:
    """Return the fields of a line about a step."""
    return {"step": spec.name, "host": spec.host}


def _made(spec: StepOfPlan, hands: Hands) -> Step:
    if spec.name == "claim" and hands.service.address_commands is not None:
        return ClaimByCommand(hands, spec.host)
    return _STEPS[spec.name](hands, spec.host)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a plan ended. `undone` tells whether everything before the fault was taken back."""

    done: bool
    text: str
    undone: bool = True
    failed: StepOfPlan | None = field(default=None, compare=False)  # the step that did not work
    tried: bool = field(
        default=True, compare=False
    )  # False: that step could not be asked for, from this host
    moved: bool = field(default=True, compare=False)  # whether any step began that does more than ask


class Sequence:
    """Runs one plan of an incident."""

    def __init__(self, journal: Journal, metrics: Metrics, incident: int) -> None:
        self._journal = journal
        self._metrics = metrics
        self._incident = incident
        self._begun = False  # the journal has heard of the first step
        self._counted = False  # a step that moves something is about to begin, or has
        self._moved = False
        self._confirmed_at: float | None = None  # of the monotonic clock
        self._let_go = False  # the old holder said that it released

    def run(self, plan: Plan, hands: Hands, begins: Callable[[], None] = lambda: None) -> Outcome:
        """Run every step of a plan, or undo what was done; `begins` is called before anything moves."""
        outcome = self._run(plan, hands, begins)
        return replace(outcome, moved=self._moved)

    def _run(self, plan: Plan, hands: Hands, begins: Callable[[], None]) -> Outcome:
        finished: list[tuple[StepOfPlan, Step]] = []
        hooks = Hooks(hands, self._metrics, self._note_hook)
        for spec in plan.steps:
            step = _made(spec, hands)
            newest = self._journal.holder(hands.name).epoch
            if newest > hands.epoch:
                # Nothing is undone either: what is there now may be the newer plan's work.
                text = f"epoch {hands.epoch} is older than {newest}: another plan has begun since"
                return Outcome(False, text, undone=False, failed=spec)
            try:
                if spec is plan.steps[0]:
                    hooks.before_plan()
                hooks.before(spec.name, spec.host)
                if spec.name not in _QUESTIONS and not self._counted:
                    begins()  # nothing has moved by now, so a journal that cannot take it ends the plan
                    self._counted = True
                if spec.name == "claim":
                    self._confirm_anew(spec, hands)
                    # Before the address is added: should we die in between, the journal must not call the new
                    # holder an intruder.
                    self._write(partial(self._journal.set_holder, hands.name, spec.host, hands.epoch))
                self._one(spec, step, hands)
            except HookAbort as fault:
                self._metrics.step_failures.labels(hands.name, spec.name).inc()
                return Outcome(False, str(fault), self._undo(finished, hands), spec)
            except StepFault as fault:
                self._metrics.step_failures.labels(hands.name, spec.name).inc()
                if spec.name == "prove" or (spec.name == "claim" and spec.host == hands.old_holder):
                    # The address is where it should be, or should be nowhere else: to go back would help nobody,
                    # and to give back what another host was made to release would put it on two. The next look
                    # decides.
                    return Outcome(False, str(fault), undone=False, failed=spec, tried=fault.tried)
                undone = self._undo([*finished, (spec, step)], hands)
                return Outcome(False, str(fault), undone, spec, tried=fault.tried)
            self._let_go |= spec.name == "release" and spec.host == hands.old_holder
            hooks.after(spec.name, spec.host)
            finished.append((spec, step))
        hooks.after_plan()
        return Outcome(True, plan.reason)

    def _confirm_anew(self, claim: StepOfPlan, hands: Hands) -> None:
        """Ask the wire again before a claim where something took long since: the old holder may be back."""
        holds_good = CONFIRMED_SECONDS if self._let_go else SILENCE_CONFIRMED_SECONDS
        if self._confirmed_at is None or time.monotonic() - self._confirmed_at < holds_good:
            return
        self._one(StepOfPlan("confirm", claim.host), Confirm(hands, claim.host), hands)

    def _one(self, spec: StepOfPlan, step: Step, hands: Hands) -> None:
        self._note("started", spec, f"epoch {hands.epoch}")
        begun = time.monotonic()
        try:
            if step.already():
                self._note("already", spec, "it is so already", time.monotonic() - begun)
                return
            text = step.do()
            self._moved |= spec.name not in _QUESTIONS
        except StepFault as fault:
            self._moved |= fault.tried and spec.name not in _QUESTIONS
            self._note("failed", spec, str(fault), time.monotonic() - begun)
            raise
        except Exception as fault:
            # A step must not take the worker with it: whatever went wrong, it did not work.
            log.exception("%s broke", spec, extra={"event": "step_broke", **_of(spec)})
            self._moved |= spec.name not in _QUESTIONS
            self._note("failed", spec, f"{type(fault).__name__}: {fault}", time.monotonic() - begun)
            raise StepFault(f"{spec} broke: {fault}") from fault
        seconds = time.monotonic() - begun
        if spec.name == "confirm":
            self._confirmed_at = time.monotonic()
        self._metrics.step_seconds.labels(spec.name).observe(seconds)
        self._note("done", spec, text, seconds)

    def _undo(self, steps: list[tuple[StepOfPlan, Step]], hands: Hands) -> bool:
        for spec, step in reversed(steps):
            try:
                text = step.undo()
            except StepFault as fault:
                self._note("undo_failed", spec, str(fault))
                return False
            except Exception as fault:
                log.exception("undoing %s broke", spec, extra={"event": "step_broke", **_of(spec)})
                self._note("undo_failed", spec, f"{type(fault).__name__}: {fault}")
                return False
            if text is None:
                continue
            if spec.name == "claim" and hands.old_holder is not None:
                self._write(partial(self._journal.set_holder, hands.name, hands.old_holder, hands.epoch))
            self._note("undone", spec, text)
        return True

    def _note(self, kind: str, spec: StepOfPlan, text: str, seconds: float | None = None) -> None:
        log.log(
            _LEVELS.get(kind, logging.INFO),
            "%s %s: %s",
            spec,
            kind,
            text,
            extra={
                "event": "step",
                **_of(spec),
                "state": kind,
                "seconds": None if seconds is None else round(seconds, 3),
            },
        )
        note = partial(self._journal.note, self._incident, kind, text)
        self._write(partial(note, step=spec.name, host=spec.host, seconds=seconds))

    def _note_hook(self, text: str, step: str, host: str, seconds: float) -> None:
        note = partial(self._journal.note, self._incident, "hook", text)
        self._write(partial(note, step=step, host=host, seconds=seconds))

    def _write(self, write: Callable[[], None]) -> None:
        """Write to the journal. Nothing begins that it cannot take; but what has begun is carried to its end.

        A disk that fills up in the middle of a takeover must not leave the service on no host at all.
        """
        try:
            write()
        except JournalFault as fault:
            if not self._begun:
                raise
            log.error(
                "the journal does not hear of this, and the plan goes on: %s",
                fault,
                extra={"event": "journal_not_written"},
            )
        self._begun = True

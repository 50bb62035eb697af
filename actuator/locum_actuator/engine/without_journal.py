"""Release the wrong one of two holders while the journal cannot be written: a release needs no journal."""

from __future__ import annotations

import logging
from dataclasses import replace

from locum_actuator.decision.epochs import highest_epoch
from locum_actuator.decision.failover import decide
from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine.context import Context
from locum_actuator.journal.database import JournalError
from locum_actuator.steps.base import StepError
from locum_actuator.steps.release import Release

log = logging.getLogger(__name__)


def release_wrong_holder(context: Context) -> bool:
    """Check, and release the host that should not hold the address; return whether one was asked to.

    Nothing else is done: no host is switched off, and none is given anything. The log contains what the journal
    would have recorded. If the journal cannot be read either, the holder is not known, and nothing is done.
    """
    try:
        memory = context.memory()
    except JournalError:
        return False
    situation = context.observer.situation(context.name)
    plan, memory = _plan(situation, memory, context)
    if plan.kind != "release" or plan.code != "held_twice":
        return False
    epoch = highest_epoch(situation, memory.epoch)
    step_context = context.for_steps(epoch, memory.holder, plan.reason)
    wrong = [step.host for step in plan.steps if step.name == "release" and step.host != memory.holder]
    for host in wrong:
        try:
            text = Release(step_context, host).do()
        except StepError as fault:
            text = str(fault)
        log.warning(
            "%s; the journal cannot be written, but %s was still released: %s",
            plan.reason,
            host,
            text,
            extra={"event": "released_without_journal", "host": host},
        )
    return bool(wrong)


def _plan(situation: Situation, memory: Memory, context: Context) -> tuple[Plan, Memory]:
    """Decide; if the gates know a newer holder than the unwritable journal, decide with that one."""
    plan = decide(situation, memory, context.service)
    if plan.kind == "adopt" and plan.target is not None:
        memory = replace(memory, holder=plan.target, epoch=highest_epoch(situation, memory.epoch))
        plan = decide(situation, memory, context.service)
    return plan, memory

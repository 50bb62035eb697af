"""Veto plans: because of signs of life, or because another host may still hold the address. Pure functions.

1. A host that could not be asked is not silent, and a host that answered anything a moment ago, for any service, is
   not dead: neither is switched off.
2. A host whose release or fence was tried and never confirmed may still hold the address. Until its gate reports
   that it does not, no other host gets the address.
3. A host that does not answer this one is not judged at once if no other vantage point could check it: an exporter
   that is just restarting, for example, can soon report whether only the line is cut.
4. No host gets an address if it could not be checked which host has it, or if no witness answers: this host may
   then be cut off from the host that has it.
"""

from __future__ import annotations

from dataclasses import replace

from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_exporter.result import Outcome
from locum_inventory.site.model import Service

_EXPELLING = frozenset({"release", "fence"})


def applied(plan: Plan, situation: Situation, memory: Memory, service: Service) -> Plan:
    """Return the plan, or the refusal that replaces it."""
    plan = _confirmed_first(plan, situation, memory, service)
    for host in fenced(plan):
        if veto := _sign_of_life(situation.hosts[host]):
            return veto
    for host in _taken_unasked(plan, situation, memory):
        if wait := _await_others(situation.hosts[host], memory):
            return wait
    return _asked_first(plan, situation)


def fenced(plan: Plan) -> tuple[str, ...]:
    """Return the hosts that a plan would switch off."""
    return tuple(step.host for step in plan.steps if step.name == "fence")


def _taken_unasked(plan: Plan, situation: Situation, memory: Memory) -> tuple[str, ...]:
    """Return the hosts that a plan switches off, or takes the address from without their confirmation."""
    taken, holder = set(fenced(plan)), memory.holder
    is_left = holder != plan.target and any(step.name == "claim" for step in plan.steps)
    if (
        holder is not None
        and holder in situation.hosts
        and is_left
        and PlannedStep("release", holder) not in plan.steps
    ):
        taken.add(holder)
    return tuple(sorted(taken))


def unable_to_judge(view: HostView) -> tuple[str, ...]:
    """Return the vantage points that could not check a silent host; empty if one other than this host could."""
    if view.gate_answers or view.liveness != "dead" or view.silent_to:
        return ()
    if sum(look.outcome is not Outcome.NOT_LOOKED for look in view.looks) > 1:
        return ()  # besides this host's own
    return tuple(look.vantage_point for look in view.looks if look.outcome is Outcome.NOT_LOOKED)


def _await_others(view: HostView, memory: Memory) -> Plan | None:
    """Return the plan that checks a silent host again; None if there is nothing to wait for."""
    unable = unable_to_judge(view)
    if not memory.may_wait or not unable:
        return None
    names = " and ".join(unable)
    return Plan(
        "keep_looking",
        "could_not_look",
        f"{view.name} does not answer at all, and {names} could not check whether only the line to it is cut",
    )


def has_let_go(view: HostView, service: Service) -> bool:
    """Return whether a host's gate reports that it neither holds the address nor runs the service."""
    if not view.gate_answers or view.holds or view.unusable_addresses:
        return False
    return service.standby == "running" or service.commands is None or view.processes == 0


def not_asked(view: HostView) -> Plan:
    """Return the plan that asks again, for a gate that could not be asked because of a fault on this host."""
    return Plan("keep_looking", "could_not_look", f"the gate of {view.name}: {view.gate_fault}")


def cut_off(situation: Situation) -> Plan:
    """Return the refusal for the case that no witness answers."""
    silent = ", ".join(sorted(situation.witnesses))
    return Plan("refuse", "cut_off", f"no witness answers ({silent}): it may be this host that is cut off")


def _asked_first(plan: Plan, situation: Situation) -> Plan:
    """Return the plan, or a refusal if it would claim an address whose holder could not be checked."""
    if not any(step.name == "claim" for step in plan.steps):
        return plan
    if not situation.witnessed:
        return cut_off(situation)
    if not situation.address_looked:
        return Plan(
            "refuse",
            "could_not_look",
            f"{plan.reason}, but it could not be checked which host has the address",
        )
    return plan


def _sign_of_life(view: HostView) -> Plan | None:
    """Return why a host is not switched off; None if it showed no sign of life."""
    if not view.gate_answers and not view.gate_asked:
        return not_asked(view)
    if view.life.services:
        names = " and ".join(view.life.services)
        verb = "answer" if len(view.life.services) > 1 else "answers"
        return Plan(
            "refuse",
            "host_serves",
            f"{view.name} is not switched off: {names} {verb} on it; repair its gate, or move {names} away first",
        )
    if view.life.gate and not view.gate_answers:
        return Plan("keep_looking", "mixed", f"{view.name} is not switched off: {view.life.gate}")
    if view.life.unasked and not view.gate_answers:
        why = f"{view.name} is not switched off: its gate could not be asked once more: {view.life.unasked}"
        return Plan("keep_looking", "could_not_look", why)
    return None


def _confirmed_first(plan: Plan, situation: Situation, memory: Memory, service: Service) -> Plan:
    """Put a release or a fence of every host that may still hold the address before the claim, or refuse."""
    if plan.target in situation.holders or not any(step.name == "claim" for step in plan.steps):
        return plan  # no host gets the address that does not already have it
    expelled = {step.host for step in plan.steps if step.name in _EXPELLING}
    first: list[PlannedStep] = []
    for host in sorted(memory.unconfirmed & situation.hosts.keys() - expelled - {plan.target}):
        view = situation.hosts[host]
        if has_let_go(view, service) or _site_accepts(view, situation, memory, service):
            continue
        step = _expel(view, situation, memory)
        if step is None:
            return Plan(
                "refuse",
                "unfenced",
                f"{host} may still hold the address: its release or fencing was tried and not confirmed; "
                f"repair its gate, or make sure that the host is off",
            )
        first.append(step)
    return replace(plan, steps=(*first, *plan.steps)) if first else plan


def _expel(view: HostView, situation: Situation, memory: Memory) -> PlannedStep | None:
    """Return the step that proves that a host does not hold the address; None if there is none left to try."""
    if view.gate_answers and f"release:{view.name}" not in memory.tried:
        return PlannedStep("release", view.name)
    may_fence = view.fenceable and situation.witnessed and f"fence:{view.name}" not in memory.tried
    if may_fence and (view.gate_answers or view.liveness == "dead"):
        return PlannedStep("fence", view.name)
    return None


def _site_accepts(view: HostView, situation: Situation, memory: Memory, service: Service) -> bool:
    """Return whether the site file explicitly accepts that a host's release is not proven."""
    if view.fenceable:
        tried = f"fence:{view.name}" in memory.tried
        return tried and service.takeover.when_fence_unconfirmed == "takeover"
    silent = not view.gate_answers and view.gate_asked and view.liveness == "dead" and view.life.gate is None
    # A record may still name a dead host.
    unheld = situation.address_looked and (situation.by_command or not situation.holders)
    return silent and unheld and (service.takeover.when_unreachable == "takeover" or bool(view.silent_to))

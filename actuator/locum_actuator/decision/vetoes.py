"""What takes a plan of the decision table back: signs of life, and hosts that may still hold. Touches nothing.

1. A host that could not be asked is not silent, and one of which anything was heard a moment ago, by whichever
   service, is not dead: neither is switched off.
2. A host whose release or fence was tried and never confirmed may still hold the address. Until its gate says that
   it does not, no other host gets the address.
3. A host that is silent to this one is not judged at once where no other vantage point could look: an exporter that
   is being started again, say, can tell in a moment whether only the line is cut.
4. No host gets an address while it could not be asked who has it, or while no witness answers: then it may be this
   host that is cut off from the one that has it.
"""

from __future__ import annotations

from dataclasses import replace

from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_exporter.result import Outcome
from locum_inventory.site.model import Service

_EXPELLING = frozenset({"release", "fence"})


def applied(plan: Plan, situation: Situation, memory: Memory, service: Service) -> Plan:
    """Return the plan, or the refusal that takes its place."""
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
    """Return the hosts that a plan switches off, or takes the address from without their own word."""
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
    """Return the vantage points that could not look at a silent host; none where another one beside us could."""
    if view.gate_answers or view.liveness != "dead" or view.silent_to:
        return ()
    if sum(look.outcome is not Outcome.NOT_LOOKED for look in view.looks) > 1:
        return ()  # beside this host's own
    return tuple(look.vantage_point for look in view.looks if look.outcome is Outcome.NOT_LOOKED)


def _await_others(view: HostView, memory: Memory) -> Plan | None:
    """Return why a silent host is looked at again; None where nobody is waited for."""
    unable = unable_to_judge(view)
    if not memory.may_wait or not unable:
        return None
    names = " and ".join(unable)
    return Plan(
        "keep_looking",
        "could_not_look",
        f"{view.name} does not answer at all, and {names} could not look whether only the line to it is cut",
    )


def has_let_go(view: HostView, service: Service) -> bool:
    """Return whether a host's gate says that it neither holds the address nor runs the service."""
    if not view.gate_answers or view.holds or view.unusable_addresses:
        return False
    return service.standby == "running" or service.commands is None or view.processes == 0


def not_asked(view: HostView) -> Plan:
    """Return the plan where a gate could not be asked for a reason that lies on this host: ask again."""
    return Plan("keep_looking", "could_not_look", f"the gate of {view.name}: {view.gate_fault}")


def cut_off(situation: Situation) -> Plan:
    """Return the refusal where no witness answers."""
    silent = ", ".join(sorted(situation.witnesses))
    return Plan("refuse", "cut_off", f"no witness answers ({silent}): it may be this host that is cut off")


def _asked_first(plan: Plan, situation: Situation) -> Plan:
    """Return the plan, or a refusal where it would claim an address without knowing who has it."""
    if not any(step.name == "claim" for step in plan.steps):
        return plan
    if not situation.witnessed:
        return cut_off(situation)
    if not situation.address_looked:
        return Plan(
            "refuse", "could_not_look", f"{plan.reason}; but nobody could be asked who has the address"
        )
    return plan


def _sign_of_life(view: HostView) -> Plan | None:
    """Return why a host is not switched off; None where nothing of it was heard."""
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
    """Put a release or a fence of each host that may still hold before a claim, or refuse."""
    if plan.target in situation.holders or not any(step.name == "claim" for step in plan.steps):
        return plan  # the address goes to no host that does not have it already
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
                f"repair its gate, or make sure that it is off",
            )
        first.append(step)
    return replace(plan, steps=(*first, *plan.steps)) if first else plan


def _expel(view: HostView, situation: Situation, memory: Memory) -> PlannedStep | None:
    """Return the step that settles whether a host still holds; None where it has just failed or cannot be done."""
    if view.gate_answers and f"release:{view.name}" not in memory.tried:
        return PlannedStep("release", view.name)
    may_fence = view.fenceable and situation.witnessed and f"fence:{view.name}" not in memory.tried
    if may_fence and (view.gate_answers or view.liveness == "dead"):
        return PlannedStep("fence", view.name)
    return None


def _site_accepts(view: HostView, situation: Situation, memory: Memory, service: Service) -> bool:
    """Return whether the site file accepts, in so many words, that it is not known whether a host let go."""
    if view.fenceable:
        tried = f"fence:{view.name}" in memory.tried
        return tried and service.takeover.when_fence_unconfirmed == "takeover"
    silent = not view.gate_answers and view.gate_asked and view.liveness == "dead" and view.life.gate is None
    # A record may go on naming a dead host.
    unheld = situation.address_looked and (situation.by_command or not situation.holders)
    return silent and unheld and (service.takeover.when_unreachable == "takeover" or bool(view.silent_to))

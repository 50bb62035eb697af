"""What holds a sound plan back: observe mode, a pause, and the brakes on moving a service. Touches nothing.

Only a plan that makes another host the holder is braked: respawns, and addresses given back to their holder, move
nothing. A brake refuses, and people are told; the plan is looked at anew every second and goes ahead by itself once
the brake lets go.
"""

from __future__ import annotations

from dataclasses import replace

from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import Memory
from locum_inventory.site.model import Service

# With two holders the site may be no more than two hosts, and one of them is to stand in for the other.
STORM_HOLDERS = 3


def applied(plan: Plan, memory: Memory, service: Service) -> Plan:
    """Return the plan, or what becomes of it: `would` then holds its steps."""
    if not plan.acts:
        return plan
    if service.takeover.mode == "observe":
        return _recorded(plan, "observe", "mode is observe")
    if memory.paused is not None:
        return _recorded(plan, "paused", f"paused {memory.paused}")
    if not moves(plan, memory):
        return plan
    held_back = _storm(plan, memory, service) or _budget(memory, service) or _cooldown(memory, service)
    return plan if held_back is None else replace(held_back, would=plan.steps)


def applied_to_move(
    plan: Plan, memory: Memory, service: Service, asked_by: str | None, *, despite_pause: bool
) -> Plan:
    """Return the plan of a planned move, or why it is held back.

    A person's word stands above budget and cooldown, and above a pause where it says so; above nothing else.
    """
    if not plan.acts:
        return plan
    held_back: Plan | None = None
    if service.takeover.mode == "observe":
        held_back = Plan("refuse", "observe", "mode is observe: nothing is touched")
    elif memory.paused is not None and not despite_pause:
        held_back = Plan("refuse", "paused", f"paused {memory.paused}")
    else:
        held_back = _storm(plan, memory, service)
    if held_back is None and asked_by is None:
        held_back = _budget(memory, service) or _cooldown(memory, service)
    return plan if held_back is None else replace(held_back, kind="refuse", would=plan.steps)


def _recorded(plan: Plan, code: str, why: str) -> Plan:
    would = ", ".join(map(str, plan.steps))
    reason = f"{why}; would have: {would}, because {plan.reason}"
    return Plan("record", code, reason, would=plan.steps)


def moves(plan: Plan, memory: Memory) -> bool:
    """Tell whether the plan makes another host the holder."""
    return plan.kind == "takeover" or (plan.kind == "claim" and memory.holder not in {None, plan.target})


def _storm(plan: Plan, memory: Memory, service: Service) -> Plan | None:
    """Hold back while several holder hosts fail at once: that is rather the network, or this host's view of it.

    One host's many services are one fault. Where fewer than three hosts hold anything nothing is held back.
    """
    if (
        service.takeover.when_storm == "takeover"
        or memory.holding_hosts < STORM_HOLDERS
        or memory.holder is None
    ):
        return None
    if others := memory.failing_elsewhere - {memory.holder}:
        hosts = " and ".join(sorted(others | {memory.holder}))
        return Plan(
            "refuse",
            "storm",
            f"{hosts} began to fail within the same half minute: that is rather a fault of the network than of "
            f"each; {plan.reason}; mend what they share, or say takeover.when_storm: takeover",
        )
    if unseen := memory.unseen_elsewhere - {memory.holder}:
        hosts = " and ".join(sorted(unseen))
        return Plan("keep_looking", "storm", f"{hosts} is being looked at as well: it may be a storm")
    return None


def _budget(memory: Memory, service: Service) -> Plan | None:
    limit = service.takeover.max_per_hour
    if memory.takeovers_last_hour < limit:
        return None
    return Plan(
        "refuse",
        "budget",
        f"{memory.takeovers_last_hour} takeovers in the last hour, and max_per_hour is {limit}: "
        "find out why it keeps moving",
    )


def _cooldown(memory: Memory, service: Service) -> Plan | None:
    since, cooldown = memory.seconds_since_takeover, service.takeover.cooldown
    if since is None or since >= cooldown:
        return None
    return Plan(
        "refuse",
        "cooldown",
        f"the last takeover was less than takeover.cooldown ({cooldown:g} s) ago: the next may begin after that",
    )

"""Hold a plan back: observe mode, a pause, and the brakes on moving a service. Pure functions.

Brakes apply only to plans that make another host the holder: a respawn, or an address given back to its holder,
moves nothing. A brake refuses the plan, and locum notifies people. The plan is decided again every second and runs
as soon as no brake applies any more.
"""

from __future__ import annotations

from dataclasses import replace

from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import Memory
from locum_inventory.site.model import Service

# With two holders the site may have only two hosts, and each is the other's standby.
STORM_HOLDERS = 3


def applied(plan: Plan, memory: Memory, service: Service) -> Plan:
    """Return the plan, or the plan that replaces it; `would` then contains the original steps."""
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
    """Return the plan of a planned move, or the refusal that holds it back.

    A person's order overrides budget and cooldown, and a pause if it says so; it overrides nothing else.
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
    """Return whether the plan makes another host the holder."""
    return plan.kind == "takeover" or (plan.kind == "claim" and memory.holder not in {None, plan.target})


def _storm(plan: Plan, memory: Memory, service: Service) -> Plan | None:
    """Hold a plan back while several holder hosts fail at once: the network is then the likely cause.

    Several failed services on one host count as one fault. With fewer than three holder hosts no plan is held back.
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
            f"{hosts} began to fail within the same half minute, which points to the network rather than to "
            f"each host; {plan.reason}; repair what they share, or set takeover.when_storm: takeover",
        )
    if unseen := memory.unseen_elsewhere - {memory.holder}:
        hosts = " and ".join(sorted(unseen))
        return Plan("keep_looking", "storm", f"{hosts} is being checked as well: it may be a storm")
    return None


def _budget(memory: Memory, service: Service) -> Plan | None:
    limit = service.takeover.max_per_hour
    if memory.takeovers_last_hour < limit:
        return None
    return Plan(
        "refuse",
        "budget",
        f"{memory.takeovers_last_hour} takeovers in the last hour, and max_per_hour is {limit}: "
        "find out why the service keeps moving",
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

"""Find the hosts that a plan leaves without their own confirmation that they released the address."""

from __future__ import annotations

from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_inventory.site.model import Service


def silent_hosts(plan: Plan, situation: Situation, memory: Memory) -> tuple[str, ...]:
    """Return the hosts that may hold the address and whose gates are silent.

    These are the holder, hosts whose release was never confirmed, and every host if no holder is known.
    """
    return tuple(
        name
        for name, view in situation.hosts.items()
        if not view.gate_answers
        and name != plan.target
        and (memory.holder in {None, name} or name in memory.unconfirmed)
    )


def need_silence_elsewhere(plan: Plan, silent: tuple[str, ...], service: Service) -> frozenset[str]:
    """Return the silent hosts for which another vantage point's report is the only evidence."""
    if service.takeover.when_unreachable != "refuse":
        return frozenset()
    made_sure = {step.host for step in plan.steps if step.name in {"release", "fence"}}
    return frozenset(silent) - made_sure

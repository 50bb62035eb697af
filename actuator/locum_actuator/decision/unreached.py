"""Decide about a holder whose service answers on its own address and not through the service address.

The holder's firewall may drop packets to that address, the network may send them to another host, or nothing
listens on it. The address is first announced again, which is harmless. If that does not help, and the vantage
points had reached it before, the service counts as not served.
"""

from __future__ import annotations

from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_inventory.site.model import Service

ANNOUNCED = "announced_unreached"  # marks an incident that has already announced the address again
MOVED = "moved_unreached"  # marks an incident that has already moved the service for this


def unreached(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan | str | None:
    """Return a plan, or the reason for a takeover as a string; None if the service is reached.

    None also if no vantage point that reaches the holder's own address could check: without proof it is no fault.
    """
    failing = () if situation.reach is None else situation.reach.failing(holder)
    if not failing:
        return None
    seen = "; ".join(f"{look.vantage_point}: {look.text}" for look in failing)
    why = f"{holder.name} serves on its own address and is not reached through the service address ({seen})"
    if not holder.gate_answers:
        return Plan("refuse", "unreached", f"{why}, and its gate does not answer ({holder.gate_fault})")
    if not _line_is_clean(holder, service):
        return Plan(
            "keep_looking",
            "mixed",
            f"{why}, but its line is not clean: lost packets must not be mistaken for a fault",
        )
    if memory.tried.isdisjoint({f"take:{holder.name}", ANNOUNCED}):
        return Plan(
            "claim",
            "unreached",
            why,
            (PlannedStep("claim", holder.name), PlannedStep("prove", holder.name)),
            holder.name,
        )
    why = f"{why}, and announcing it again did not help"
    if MOVED in memory.tried:
        return Plan(
            "refuse", "unreached", f"{why}; nor did moving the service: check the firewall of {holder.name}"
        )
    own = None if situation.reach is None else situation.reach.here
    if not any(look is own or look.vantage_point in memory.reached for look in failing):
        return Plan(
            "refuse",
            "unreached",
            f"{why}; none of them has reached it since the actuator started: check the firewall of {holder.name}",
        )
    return why


def _line_is_clean(holder: HostView, service: Service) -> bool:
    """Return whether the line cannot be the cause; if the deciding check is a ping, only pings show that."""
    return holder.liveness == "alive" if service.checks.deciding == ("ping",) else holder.line_is_clean

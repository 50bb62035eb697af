"""Decide about a holder whose service answers on its own address and not through the service address.

Its firewall may drop what comes for that address, the network may believe another host, or nothing listens there.
It is announced again first, which does no harm; where that does not help, and the vantage points had reached it
before, it is as good as not served.
"""

from __future__ import annotations

from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import HostView, Memory, Situation
from locum_inventory.site.model import Service

ANNOUNCED = "announced_unreached"  # the mark of an incident that has announced it again already
MOVED = "moved_unreached"  # the mark of an incident that has moved the service for this already


def unreached(holder: HostView, situation: Situation, memory: Memory, service: Service) -> Plan | str | None:
    """Return what is to be done; in words why the service is to be taken over; None where it is reached.

    None also where nobody could look who reaches the holder otherwise: what cannot be proven is no fault.
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
            "keep_looking", "mixed", f"{why}, but its line is not clean: loss must not look like a fault"
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
            "refuse", "unreached", f"{why}; nor did moving the service: see the firewall of {holder.name}"
        )
    own = None if situation.reach is None else situation.reach.here
    if not any(look is own or look.vantage_point in memory.reached for look in failing):
        return Plan(
            "refuse",
            "unreached",
            f"{why}; none of them has reached it since the actuator started: see the firewall of {holder.name}",
        )
    return why


def _line_is_clean(holder: HostView, service: Service) -> bool:
    """Tell whether a failure is none of the line's; where a ping must do, only pings can tell."""
    return holder.liveness == "alive" if service.checks.deciding == ("ping",) else holder.line_is_clean

"""Refuse plans because of what gates report about their hosts. Pure functions.

1. A host that cannot be given the service (fitness.py) neither starts it nor claims its addresses.
2. If the host file of the old holder names other addresses than the site file, its release does not prove that the
   service's addresses are gone: no other host gets them until the old holder is enrolled again.
"""

from __future__ import annotations

from dataclasses import replace

from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import HostView, Memory, Situation


def applied(plan: Plan, situation: Situation, memory: Memory) -> Plan:
    """Return the plan, or the refusal that replaces it."""
    given = {step.host for step in plan.steps if step.name in {"start", "claim"}}
    unfit = sorted(host for host in given if situation.hosts[host].unfit is not None)
    if unfit and plan.kind == "release":
        # The other host must release anyway; its holder already has what it releases.
        steps = tuple(
            step for step in plan.steps if step.name not in {"start", "claim"} or step.host not in unfit
        )
        return replace(plan, steps=steps)
    if unfit:
        faults = "; ".join(f"{host}: {situation.hosts[host].unfit}" for host in unfit)
        return Plan("refuse", "unfit", f"{plan.reason}, and no host can be given the service ({faults})")
    released = [step.host for step in plan.steps if step.name == "release"]
    for host in released:
        drift = situation.hosts[host].drift
        if host == memory.holder and given - {host} and drift is not None:
            return Plan("refuse", "unfit", f"{plan.reason}, but {_no_proof(situation.hosts[host])}")
    return plan


def _no_proof(view: HostView) -> str:
    return f"a release of {view.name} would prove nothing: {view.drift}"

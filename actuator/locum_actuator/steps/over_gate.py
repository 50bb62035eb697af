"""Give something to a host over its gate, with a permit that ends when the evidence has become too old."""

from __future__ import annotations

from locum_actuator.decision.fitness import why_unfit
from locum_actuator.steps.base import Hands, StepFault
from locum_actuator.steps.plan_evidence import OVER_GATE_SECONDS, TooOld
from locum_inventory.gate.clock import GateClock, Permit
from locum_inventory.gate.protocol import ServiceStatus, ShellFault, Verb

STATUS_SECONDS = (
    1.0  # for the gate's clock, asked right before: one that was asked long ago may have stood still
)


def change_in_time(hands: Hands, host: str, verb: Verb, deadline_seconds: float) -> ServiceStatus:
    """Have a host start or claim; raises `TooOld` where the evidence is, `StepFault` or `ShellFault` else."""
    gate = hands.shells[host].status(deadline_seconds=STATUS_SECONDS)
    if (why := why_unfit(hands.name, hands.service, host, gate)) is not None or gate.clock is None:
        raise StepFault(f"{verb} on {host}: {why}")
    permit = gate.clock.permit(hands.evidence.given_until(over_gate=True), hands.service.addresses)
    return _change(hands, host, verb, deadline_seconds, permit)


def respawn_in_time(hands: Hands, host: str, deadline_seconds: float) -> ServiceStatus:
    """Have a host restart what it runs; a gate of version 1 does so without a permit."""
    clock: GateClock | None = hands.shells[host].status(deadline_seconds=STATUS_SECONDS).clock
    permit = None if clock is None else clock.permit(hands.evidence.due_until + OVER_GATE_SECONDS)
    return _change(hands, host, "respawn", deadline_seconds, permit)


def _change(
    hands: Hands, host: str, verb: Verb, deadline_seconds: float, permit: Permit | None
) -> ServiceStatus:
    try:
        return hands.shells[host].change(
            verb, hands.name, hands.epoch, deadline_seconds=deadline_seconds, permit=permit
        )
    except ShellFault as fault:
        if fault.reason == "too_late":
            raise TooOld(f"{verb} on {host}: {fault}") from fault
        raise

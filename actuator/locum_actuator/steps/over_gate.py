"""Start or claim on a host over its gate, with a permit that expires when the evidence is too old.

The permit uses the clock of the gate's host, as reported in its last answer. That clock may have stood still since
(a paused virtual machine), but for no longer than that answer is old; the permit expires that much earlier.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from locum_actuator.decision.fitness import why_unfit
from locum_actuator.steps.base import StepContext, StepError
from locum_actuator.steps.plan_evidence import OVER_GATE_SECONDS, EvidenceTooOldError
from locum_actuator.system import runtime
from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import GateError, GateStatus, ServiceStatus, Verb

STATUS_SECONDS = 1.0
CLOCK_SECONDS = 1.0  # a permit may be based on an answer up to this old; otherwise the gate is asked first


def change_in_time(context: StepContext, host: str, verb: Verb, deadline_seconds: float) -> ServiceStatus:
    """Run `start` or `claim` on a host. Raises `EvidenceTooOldError`, `StepError` or `GateError`."""

    def permit(gate: GateStatus, age_seconds: float) -> Permit:
        if (why := why_unfit(context.name, context.service, host, gate)) is not None or gate.clock is None:
            raise StepError(f"{verb} on {host}: {why}")
        good_until = context.evidence.given_until(over_gate=True)
        return gate.clock.permit(good_until - age_seconds, context.service.addresses)

    return _in_time(context, host, verb, deadline_seconds, permit)


def respawn_in_time(context: StepContext, host: str, deadline_seconds: float) -> ServiceStatus:
    """Restart the service on its host; a gate of version 1 does so without a permit."""

    def permit(gate: GateStatus, age_seconds: float) -> Permit | None:
        good_until = context.evidence.due_until + OVER_GATE_SECONDS
        return None if gate.clock is None else gate.clock.permit(good_until - age_seconds)

    return _in_time(context, host, "respawn", deadline_seconds, permit)


def _in_time(
    context: StepContext,
    host: str,
    verb: Verb,
    deadline_seconds: float,
    permit: Callable[[GateStatus, float], Permit | None],
) -> ServiceStatus:
    """Send a verb, based on the gate's last answer if it is recent, and on a new one if it has expired."""
    gate = context.gates[host]
    last = gate.last_status()
    if last is not None and last.clock is not None:
        age_seconds = runtime.since_boot() - last.clock.answered_at
        if age_seconds <= CLOCK_SECONDS:
            with suppress(EvidenceTooOldError):
                return _change(context, host, verb, deadline_seconds, permit(last, age_seconds))
    asked = gate.status(deadline_seconds=STATUS_SECONDS)
    return _change(context, host, verb, deadline_seconds, permit(asked, 0.0))


def _change(
    context: StepContext, host: str, verb: Verb, deadline_seconds: float, permit: Permit | None
) -> ServiceStatus:
    try:
        return context.gates[host].run_verb(
            verb, context.name, context.epoch, deadline_seconds=deadline_seconds, permit=permit
        )
    except GateError as fault:
        if fault.reason == "too_late":
            raise EvidenceTooOldError(f"{verb} on {host}: {fault}") from fault
        raise

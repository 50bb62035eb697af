"""Respawn: restart the service on its holder, and wait until it answers or the deadline has passed."""

from __future__ import annotations

from locum_actuator.domain import patience
from locum_actuator.domain.plan import PlannedStep
from locum_actuator.steps.base import Step
from locum_actuator.steps.first_answer import FirstAnswer
from locum_actuator.steps.over_gate import respawn_in_time
from locum_inventory.gate.protocol import GateError


class Respawn(Step):
    """Restart the service where it is."""

    def already(self) -> bool:
        """Return False: the decision to respawn was based on a fresh check."""
        return False

    def do(self) -> str:
        """Run the host's respawn command and wait for the service's answer."""
        context = self.context
        context.evidence.require_due(PlannedStep("respawn", self.host))
        answer = FirstAnswer(context, self.host, "respawned", patience.respawn_seconds(context.service))
        try:
            respawn_in_time(context, self.host, patience.respawn_call_seconds(context.service))
        except GateError as fault:
            raise answer.failed(fault) from fault
        return f"answers again: {answer.wait(patience.LEAST_ANSWER_SECONDS).text}"

    def undo(self) -> None:
        """Do nothing: the service runs on the host where it belongs."""
        return

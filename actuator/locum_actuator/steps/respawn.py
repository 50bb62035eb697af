"""Respawn: restart the service on its holder, and look until it answers or the deadline has passed."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.domain import patience
from locum_actuator.domain.plan import Step
from locum_actuator.steps.base import Hands
from locum_actuator.steps.first_answer import FirstAnswer
from locum_actuator.steps.over_gate import respawn_in_time
from locum_inventory.gate.protocol import GateError


@dataclass(frozen=True, slots=True)
class Respawn:
    """Restart the service where it is."""

    hands: Hands
    host: str

    def already(self) -> bool:
        """Say no: the decision to respawn has just looked."""
        return False

    def do(self) -> str:
        """Run the host's respawn command and wait for the service's own answer."""
        hands = self.hands
        hands.evidence.require_due(Step("respawn", self.host))
        answer = FirstAnswer(hands, self.host, "respawned", patience.respawn_seconds(hands.service))
        try:
            respawn_in_time(hands, self.host, patience.respawn_call_seconds(hands.service))
        except GateError as fault:
            raise answer.failed(fault) from fault
        return f"answers again: {answer.wait(patience.LEAST_ANSWER_SECONDS).text}"

    def undo(self) -> None:
        """Nothing: a service that was restarted where it belongs is where it belongs."""
        return

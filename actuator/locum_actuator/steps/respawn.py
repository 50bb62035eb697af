"""Respawn: restart the service on its holder, and look until it answers or the deadline has passed."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.plan import Step
from locum_actuator.steps.base import Hands, StepFault, until
from locum_actuator.steps.over_gate import respawn_in_time
from locum_exporter.result import Outcome
from locum_inventory.shell import ShellFault

GATE_SECONDS = 10.0
ANSWER_SECONDS = 3.0


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
        try:
            respawn_in_time(hands, self.host, GATE_SECONDS)
        except ShellFault as fault:
            raise StepFault(f"respawn on {self.host}: {fault}", tried=fault.asked) from fault
        seen = until(lambda: hands.eyes.service_on(hands.name, self.host), ANSWER_SECONDS)
        if seen.outcome is not Outcome.WELL:
            raise StepFault(f"respawned on {self.host}, but within {ANSWER_SECONDS:g} s: {seen.text}")
        return f"answers again: {seen.text}"

    def undo(self) -> None:
        """Nothing: a service that was restarted where it belongs is where it belongs."""
        return

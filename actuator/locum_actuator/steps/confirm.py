"""Confirm: once more before anything is claimed, ask the witnesses and the wire."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.steps.base import Hands, StepFault

ASKS = 3  # a busy machine may be too late to ask: what was done is not undone for that alone


@dataclass(frozen=True, slots=True)
class Confirm:
    """Make sure that this host is not the one cut off and that nobody answers for the address."""

    hands: Hands
    host: str

    def already(self) -> bool:
        """Say no: a look is only worth something when it is fresh."""
        return False

    def do(self) -> str:
        """Ask; anything but a clear answer is a fault."""
        for _ in range(ASKS):
            witnessed, found = self.hands.eyes.confirm(self.hands.name)
            if found is not None:
                break
        if found is None:
            raise StepFault("nobody could be asked who has the address")
        hosts, strangers = found
        if self.hands.service.address_commands is not None and self.hands.old_holder is not None:
            hosts -= {self.hands.old_holder}  # the record names it until the claim
        others = sorted((hosts - {self.host}) | strangers)
        if others:
            raise StepFault(f"{', '.join(others)} still answers for the address")
        old = self.hands.old_holder
        if old is not None and self.hands.eyes.late_echo(self.hands.name, old, 0.0):
            raise StepFault(f"an echo of {old} came late: delay must not look like death")
        if not witnessed:
            raise StepFault("no witness answers any more: it may be this host that is cut off")
        return "nobody answers for the address, and a witness answers"

    def undo(self) -> None:
        """Nothing was done."""
        return

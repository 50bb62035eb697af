"""Prove: the service answers through its address, and the network knows where the address is now."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.announce import announce
from locum_actuator.situation import Look
from locum_actuator.steps.base import Hands, StepFault, until
from locum_exporter.result import Outcome

ANSWER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Prove:
    """Look at the result the way a client does.

    On the new holder itself a look through the address succeeds even while everybody else's ARP entry is stale. So
    a witness is pinged *from* the service address: its answer comes back only if it knows the new way.
    """

    hands: Hands
    host: str

    def already(self) -> bool:
        """Say no: proof is a look, and it is wanted now."""
        return False

    def do(self) -> str:
        """Look through the address and, on this host, from it; announce again while the wire is deaf."""
        hands = self.hands
        if hands.service.address_commands is not None:
            return self._on_the_host()
        seen = until(lambda: hands.eyes.service_through_address(hands.name), ANSWER_SECONDS)
        if seen.outcome is not Outcome.WELL:
            raise StepFault(f"the service does not answer through its address: {seen.text}")
        if self.host != hands.local_host:
            return f"answers through its address: {seen.text}"
        reached = until(self._reached, ANSWER_SECONDS)
        if reached.outcome is not Outcome.WELL:
            raise StepFault(reached.text)
        return f"answers through its address ({seen.text}); {reached.text}"

    def _on_the_host(self) -> str:
        """Where commands stand in for an address, there is none to look through: the claim has looked itself."""
        hands = self.hands
        seen = until(lambda: hands.eyes.service_on(hands.name, self.host), ANSWER_SECONDS)
        if seen.outcome is not Outcome.WELL:
            raise StepFault(f"the service does not answer on {self.host}: {seen.text}")
        return f"answers on {self.host}: {seen.text}"

    def _reached(self) -> Look:
        hands = self.hands
        addresses = [address.ip for address in hands.service.addresses]
        versions = {witness.version for witness in hands.site.witnesses}
        asked = [str(address) for address in addresses if address.version in versions]
        unasked = [str(address) for address in addresses if address.version not in versions]
        if silent := [address for address in asked if not hands.eyes.witness_answers(source=address)]:
            announce(hands.service.interface[self.host], addresses)
            of_which = ", ".join(silent) if len(addresses) > 1 else "the service address"
            return Look(
                hands.local_host,
                Outcome.FAILED,
                f"no witness answers to {of_which}: its ARP or neighbour entry is stale?",
            )
        answered = ["a witness answers to the service address"] if asked else []
        left_out = (
            [f"no witness of its IP version could be asked about {', '.join(unasked)}"] if unasked else []
        )
        return Look(hands.local_host, Outcome.WELL, "; ".join(answered + left_out))

    def undo(self) -> None:
        """Nothing was done."""
        return

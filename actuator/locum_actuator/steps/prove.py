"""Prove that the service answers through its address and that the network knows the new holder."""

from __future__ import annotations

import logging

from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.steps.announce_there import announce_over_gate
from locum_actuator.steps.base import Step, StepError, until
from locum_actuator.system import runtime
from locum_actuator.system.announce import announce
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import GateError

log = logging.getLogger(__name__)

ANSWER_SECONDS = 3.0
ANNOUNCE_AGAIN_SECONDS = 1.0
NOT_ASKED = "a process check uses no address"


class Prove(Step):
    """Check the result the way a client would.

    On the new holder itself a check through the address succeeds even while all other ARP entries are stale. So a
    witness is pinged *from* the service address: its answer arrives only if it knows the new MAC address. In
    addition, every other vantage point runs the deciding checks through the address: one answer is proof. If those
    that can check get no answer, the step fails; if none can check, the message says so.
    """

    def already(self) -> bool:
        """Return False: the proof has to be new."""
        return False

    def do(self) -> str:
        """Check through the address and, on this host, from it; announce it again until there is an answer."""
        context = self.context
        if context.service.address_commands is not None:
            return self._on_the_host()
        reach = self._answered()
        here = NOT_ASKED if reach is None or reach.here is None else reach.here.text
        if self.host != context.local_host:
            return f"answers through its address: {here if reach is None else reach.text}"
        reached = until(self._reached, ANSWER_SECONDS)
        if reached.outcome is not Outcome.WELL:
            raise StepError(reached.text)
        outside = "" if reach is None else f"; {reach.text}"
        return f"answers through its address ({here}); {reached.text}{outside}"

    def _answered(self) -> Reach | None:
        """Check through the address until there is an answer, announcing it again meanwhile.

        Return None if no check goes through an address. Raise `StepError` if those able to check get no answer.
        """
        context, pause_seconds, announced_at = self.context, 0.02, float("-inf")
        end = runtime.monotonic() + ANSWER_SECONDS
        while True:
            reach = context.observer.reach(context.name)
            if reach is None or self._is_answered(reach):
                return reach
            now = runtime.monotonic()
            if now >= end:
                context.evidence.unproven = reach
                raise StepError(f"the service is not reached through its address: {reach.text}")
            if now - announced_at >= ANNOUNCE_AGAIN_SECONDS:
                announced_at = now
                self._announce_again()
            runtime.sleep(min(pause_seconds, end - now))
            pause_seconds = min(pause_seconds * 1.3, 0.5)

    def _is_answered(self, reach: Reach) -> bool:
        """Return whether there is an answer from outside, or from this host if no other one can check."""
        if reach.outcome is not Outcome.NOT_LOOKED:
            return reach.outcome is Outcome.WELL
        if self.host == self.context.local_host:
            return reach.here is not None and reach.here.outcome is Outcome.WELL
        return not any(look.reason == "busy" for look in reach.outside)

    def _announce_again(self) -> None:
        """Make the new holder announce the address again, so that a lost announcement leaves no stale ARP entry."""
        context = self.context
        try:
            if self.host == context.local_host:
                announce(context.service.interface[self.host], [one.ip for one in context.service.addresses])
            else:
                announce_over_gate(context.gates[self.host], context.name, context.service, context.epoch)
        except (OSError, GateError) as fault:
            log.warning(
                "the address could not be announced again on %s: %s",
                self.host,
                fault,
                extra={"event": "not_announced", "host": self.host},
            )

    def _on_the_host(self) -> str:
        """Check the host's own address: with address commands there is no other, and the claim was verified."""
        context = self.context
        seen = until(lambda: context.observer.service_on(context.name, self.host), ANSWER_SECONDS)
        if seen.outcome is not Outcome.WELL:
            raise StepError(f"the service does not answer on {self.host}: {seen.text}")
        return f"answers on {self.host}: {seen.text}"

    def _reached(self) -> CheckOutcome:
        context = self.context
        addresses = [address.ip for address in context.service.addresses]
        versions = {witness.version for witness in context.site.witnesses}
        asked = [str(address) for address in addresses if address.version in versions]
        unasked = [str(address) for address in addresses if address.version not in versions]
        try:
            silent = [address for address in asked if not context.observer.witness_answers(source=address)]
        except TimeoutError as fault:
            return CheckOutcome(context.local_host, Outcome.NOT_LOOKED, str(fault), "busy")
        if silent:
            announce(context.service.interface[self.host], addresses)
            of_which = ", ".join(silent) if len(addresses) > 1 else "the service address"
            return CheckOutcome(
                context.local_host,
                Outcome.FAILED,
                f"no witness answers to {of_which}: its ARP or neighbour entry is stale?",
            )
        answered = ["a witness answers to the service address"] if asked else []
        left_out = [f"no witness of the same IP version can check {', '.join(unasked)}"] if unasked else []
        return CheckOutcome(context.local_host, Outcome.WELL, "; ".join(answered + left_out))

    def undo(self) -> None:
        """Do nothing: the step changes nothing that has to be undone."""
        return

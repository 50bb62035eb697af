"""Claim the service addresses: add them to a host's interface and announce them to the network.

On this machine over netlink, on another one through its gate.
"""

from __future__ import annotations

import logging

from locum_actuator.domain.patience import release_call_seconds
from locum_actuator.steps.base import Step, StepContext, StepError
from locum_actuator.steps.over_gate import change_in_time
from locum_actuator.system import netlink, runtime
from locum_actuator.system.announce import announce
from locum_inventory.enrolment.boot_guard import is_muted
from locum_inventory.gate.protocol import GateError

log = logging.getLogger(__name__)

GATE_SECONDS = 5.0


class Claim(Step):
    """Put the addresses on the host and announce them."""

    def already(self) -> bool:
        """Return False: adding an existing address is harmless, and announcing it again can help."""
        return False

    def do(self) -> str:
        """Add every address, announce them, and check that all are held."""
        context = self.context
        if self.host == context.local_host and not is_muted(context.name):
            return self._here()
        context.require_silent_holder(self.host)
        # Another host, or this one while its boot guard is on, which only its gate may lift.
        try:
            after = change_in_time(context, self.host, "claim", GATE_SECONDS)
        except GateError as fault:
            raise StepError(f"claim on {self.host}: {fault}", tried=fault.asked) from fault
        missing = [str(address) for address, here in after.held.items() if not here]
        if missing:
            raise StepError(f"{self.host} reports that it does not hold {', '.join(missing)}")
        return f"{self.host} confirms that it holds {_words(context)}"

    def _here(self) -> str:
        service = self.context.service
        interface = service.interface[self.host]
        try:
            for address in service.addresses:
                netlink.add(interface, address, right_before=self._still_free)
            missing = {address.ip for address in service.addresses} - netlink.held(service.addresses)
        except netlink.AddressChangeError as fault:
            raise StepError(str(fault)) from fault
        if missing:
            raise StepError(f"added, but the kernel does not show {', '.join(map(str, missing))}")
        announce(interface, [address.ip for address in service.addresses])
        self._store_epoch()
        return f"{interface} holds {_words(self.context)}, announced"

    def _still_free(self) -> None:
        """Check that the old holder has not answered since, and that the last answer is fresh enough."""
        self.context.require_silent_holder(self.host)
        self.context.evidence.require_free()

    def _store_epoch(self) -> None:
        """Store the epoch in this host's gate, since the kernel does not keep it; nothing waits for this.

        A journal that is older than the gates is detected by comparing epochs.
        """
        context = self.context

        def store() -> None:
            try:
                context.gates[self.host].run_verb(
                    "store-epoch", context.name, context.epoch, deadline_seconds=GATE_SECONDS
                )
            except GateError as fault:
                log.info(
                    "this host's gate did not store the epoch: %s",
                    fault,
                    extra={"event": "epoch_not_told"},
                )

        try:
            runtime.thread(store, name=f"epoch-{context.name}").start()
        except RuntimeError as fault:  # no more threads: no reason to remove the address again
            log.warning(
                "this host's gate did not store the epoch: %s", fault, extra={"event": "epoch_not_told"}
            )

    def undo(self) -> str:
        """Remove the addresses again."""
        context = self.context
        try:
            if self.host == context.local_host:
                for address in context.service.addresses:
                    netlink.remove(address)
            else:
                context.gates[self.host].run_verb(
                    "release",
                    context.name,
                    context.epoch,
                    deadline_seconds=release_call_seconds(context.service),
                )
        except (netlink.AddressChangeError, GateError) as fault:
            raise StepError(f"removing the address from {self.host} again: {fault}") from fault
        return f"address removed from {self.host} again"


def _words(context: StepContext) -> str:
    return ", ".join(str(address.ip) for address in context.service.addresses)

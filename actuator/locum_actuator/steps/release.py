"""Release: remove the address from the holder, then stop the service; its gate confirms both."""

from __future__ import annotations

from locum_actuator.domain.patience import release_call_seconds, start_call_seconds
from locum_actuator.domain.plan import PlannedStep
from locum_actuator.steps.base import Step, StepError
from locum_actuator.steps.over_gate import change_in_time
from locum_actuator.steps.plan_evidence import EvidenceTooOldError
from locum_actuator.system import runtime
from locum_inventory.gate.protocol import GateError, ServiceStatus, Verb

STATUS_SECONDS = 1.0
GIVE_BACK_TRIES = 3  # each checks who has the address; the answer may be too old by the time the gate claims


class Release(Step):
    """Make a host confirm that it neither holds the address nor runs the service."""

    def already(self) -> bool:
        """Return whether the gate reports that nothing is held or runs; an uncounted service may run."""
        try:
            status = self.context.gates[self.host].status(deadline_seconds=STATUS_SECONDS)
        except GateError:
            return False
        service = status.services.get(self.context.name)
        if service is None or (service.processes is None and self.context.service.standby == "stopped"):
            return False
        return self._released(service)

    def do(self) -> str:
        """Send `release`; only the gate's confirmation counts as done."""
        context = self.context
        try:
            context.evidence.require_due(PlannedStep("release", self.host))
        except EvidenceTooOldError:
            if self.host == context.old_holder:
                raise  # it may be well again; any other host has no right to the address
        try:
            after = context.gates[self.host].run_verb(
                "release", context.name, context.epoch, deadline_seconds=release_call_seconds(context.service)
            )
        except GateError as fault:
            raise StepError(f"release on {self.host}: {fault}", tried=fault.asked) from fault
        if after.epoch > context.epoch:
            # A gate releases under any epoch; the plan that changed the holder since continues from here.
            raise StepError(f"release on {self.host}: epoch {context.epoch} is older than {after.epoch}")
        if not self._released(after):
            raise StepError(f"{self.host} reports that it still holds {_words(after)}")
        return f"{self.host} confirms: address off, {_words(after)}"

    def undo(self) -> str | None:
        """Give the service and the address back to the old holder, because no other host could take them.

        Only the old holder gets them back, and only while no other host answers for the address.
        """
        context = self.context
        if self.host != context.old_holder:
            return None
        verbs: tuple[tuple[Verb, float], ...] = (("claim", 5.0),)
        if context.service.standby == "stopped" and context.service.commands is not None:
            verbs = (("start", start_call_seconds(context.service)), *verbs)
            context.starts.began(self.host)
        self._look_for_others()
        for verb, seconds in verbs:
            self._give(verb, seconds)
        return f"{self.host} has the service and the address back"

    def _give(self, verb: Verb, seconds: float) -> None:
        context = self.context
        for left in reversed(range(GIVE_BACK_TRIES)):
            if context.evidence.should_ask():
                self._look_for_others()
            try:
                change_in_time(context, self.host, verb, seconds)
            except EvidenceTooOldError as fault:
                if not left:
                    raise StepError(f"giving the service back to {self.host}: {fault}") from fault
            except GateError as fault:
                raise StepError(f"giving the service back to {self.host}: {fault}") from fault
            else:
                return

    def _look_for_others(self) -> None:
        asked_at = runtime.since_boot()
        found = self.context.observer.confirm(self.context.name).owners
        if found is None:
            raise StepError(
                f"not given back to {self.host}: it could not be checked which host has the address"
            )
        hosts, strangers = found
        if others := sorted((hosts - {self.host}) | strangers):
            raise StepError(f"not given back to {self.host}: {', '.join(others)} answers for the address")
        self.context.evidence.found_free(asked_at)

    def _released(self, status: ServiceStatus) -> bool:
        if any(status.held.values()) or status.unusable_addresses:
            return False
        return self.context.service.standby == "running" or not status.processes


def _words(status: ServiceStatus) -> str:
    held = [
        str(address) for address, here in status.held.items() if here or address in status.unusable_addresses
    ]
    running = "process not counted" if status.processes is None else f"{status.processes} processes"
    return f"{', '.join(held)}; {running}" if held else running

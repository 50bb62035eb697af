"""Start the service on the host that is to be the holder, and wait until it answers on that host's own address."""

from __future__ import annotations

from locum_actuator.domain import patience
from locum_actuator.steps.base import Step, StepError
from locum_actuator.steps.first_answer import FirstAnswer
from locum_actuator.steps.over_gate import change_in_time
from locum_actuator.steps.plan_evidence import LOOK_SECONDS, LOOKS
from locum_actuator.system import runtime
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import GateError


class Start(Step):
    """Start the service and wait for its answer."""

    def already(self) -> bool:
        """Return whether the service answers."""
        return self.context.observer.service_on(self.context.name, self.host).outcome is Outcome.WELL

    def do(self) -> str:
        """Run the host's start command and wait until the service answers."""
        context = self.context
        answer = FirstAnswer(context, self.host, "started", patience.start_seconds(context.service))
        try:
            change_in_time(context, self.host, "start", patience.start_call_seconds(context.service))
        except GateError as fault:
            raise answer.failed(fault) from fault
        return f"answers on {self.host}: {answer.wait(patience.LEAST_ANSWER_SECONDS).text}"

    def _may_answer_after_all(self) -> bool:
        """Return False only if a recent check got no answer; repeat it if this program was stopped meanwhile."""
        for _ in range(LOOKS):
            asked_at = runtime.since_boot()
            seen = self.context.observer.service_on(self.context.name, self.host).outcome
            if seen is Outcome.WELL:
                return True
            if (
                seen is Outcome.FAILED
                and runtime.since_boot() - asked_at <= self.context.evidence.look_seconds + LOOK_SECONDS
            ):
                return False
        return True  # no check was recent enough: it may answer, so it is not stopped

    def undo(self) -> str | None:
        """Stop it again, because two hosts must not write its data; not if it runs on standbys anyway.

        This is a release: unlike a stop it ends a start that is still under way, and kills what is left.
        """
        context = self.context
        if context.service.standby == "running":
            return None
        if self.host == context.old_holder and self._may_answer_after_all():
            return None  # no other host is given the service
        try:
            context.gates[self.host].run_verb(
                "release",
                context.name,
                context.epoch,
                deadline_seconds=patience.release_call_seconds(context.service),
            )
        except GateError as fault:
            raise StepError(f"stopping it on {self.host} again: {fault}") from fault
        return f"stopped on {self.host} again"

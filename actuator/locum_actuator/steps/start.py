"""Start the service on the next holder, until it answers on that host's own address."""

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

    def _answers_after_all(self) -> bool:
        """Check once more, and again if this program was stopped between the check and its use."""
        for _ in range(LOOKS):
            asked_at = runtime.since_boot()
            if self.context.observer.service_on(self.context.name, self.host).outcome is Outcome.WELL:
                return True
            if runtime.since_boot() - asked_at <= self.context.evidence.look_seconds + LOOK_SECONDS:
                return False
        return True  # all evidence about it is too old

    def undo(self) -> str | None:
        """Stop it again, because two hosts must not write its data; not if it runs on standbys anyway.

        This is a release: unlike a stop it ends a start that is still under way, and kills what is left.
        """
        context = self.context
        if context.service.standby == "running":
            return None
        if self.host == context.old_holder and self._answers_after_all():
            return None  # and no other host gets it
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

"""Mirror the last changes of a planned move, in a short pass while nothing writes."""

from __future__ import annotations

from locum_actuator.steps.base import Step, StepError
from locum_actuator.system import runtime

LAST_PASS_SECONDS = 60.0  # the service is stopped meanwhile: a longer pass is aborted and undone


class LastPass(Step):
    """Copy from the old holder, which has released, to the next holder."""

    def already(self) -> bool:
        """Return False: only a mirror run finds what has changed."""
        return False

    def do(self) -> str:
        """Copy; the step succeeds only with a complete copy within the deadline."""
        context = self.context
        if context.old_holder is None:
            raise StepError("no host is known to have the data")
        deadline = runtime.timer(LAST_PASS_SECONDS, context.mirrors.halt, (context.name, self.host))
        deadline.start()
        try:
            result = context.mirrors.run(context.name, context.old_holder, self.host)
        finally:
            deadline.cancel()
        if not result.done:
            raise StepError(f"the data could not be mirrored to {self.host}: {result.text}")
        return f"{self.host} has the data of {context.old_holder}: {result.text}"

    def undo(self) -> None:
        """Do nothing: a newer copy does no harm."""
        return

"""Mirror, the last short pass of a planned move: what changed since the pass before, while nobody writes."""

from __future__ import annotations

from dataclasses import dataclass

from locum_actuator.steps.base import StepContext, StepError
from locum_actuator.system import runtime

LAST_PASS_SECONDS = 60.0  # the service is stopped meanwhile: what takes longer is broken off and undone


@dataclass(frozen=True, slots=True)
class LastPass:
    """Copy from the old holder, which has released, to the host that is to hold next."""

    context: StepContext
    host: str

    def already(self) -> bool:
        """Say no: only a copy tells what has changed."""
        return False

    def do(self) -> str:
        """Copy, and take nothing for done but a whole copy within the deadline."""
        context = self.context
        if context.old_holder is None:
            raise StepError("nobody is known to have the data")
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
        """Nothing: a copy that is newer than before is no harm to the old holder."""
        return

"""Confirm, right before a claim: ask once more the witnesses, who has the address, and the other vantage points."""

from __future__ import annotations

from locum_actuator.domain.ports import Confirmed
from locum_actuator.steps.base import Step, StepError
from locum_actuator.system import runtime

TRIES = 3  # a busy machine may miss an answer, which alone is no reason to undo the steps before


class Confirm(Step):
    """Check that the actuator's host is not cut off, and that no host has the address or reaches the old holder."""

    def already(self) -> bool:
        """Return False: only a fresh check is evidence."""
        return False

    def do(self) -> str:
        """Run the checks; raise `StepError` if an answer is missing or unclear."""
        silent = self.context.silent_hosts or (None,)
        # All at once, because an answer is soon too old.
        with runtime.pool(len(silent), name="confirm") as pool:
            asked_at = list(pool.map(self._ask, silent))
        self.context.evidence.found_free(min(asked_at))
        return "no host answers for the address, and a witness answers"

    def _ask(self, silent: str | None) -> float:
        """Run the checks, of a silent host from elsewhere too; return when they began (`runtime.since_boot`)."""
        for _ in range(TRIES):
            asked_at = runtime.since_boot()
            seen = self.context.observer.confirm(self.context.name, silent)
            if seen.owners is not None and (seen.heard_by or not self._is_silence_unproven(silent, seen)):
                break
        if seen.owners is None:
            raise StepError("it could not be checked which host has the address")
        hosts, strangers = seen.owners
        if self.context.service.address_commands is not None and self.context.old_holder is not None:
            hosts -= {self.context.old_holder}  # the record names the old holder until the claim
        others = sorted((hosts - {self.host}) | strangers)
        if others:
            raise StepError(f"{', '.join(others)} still answers for the address")
        self.context.require_silent_holder(self.host)
        if seen.heard_by:
            by = ", ".join(seen.heard_by)
            raise StepError(f"{silent} answers {by}: only the line to it is cut")
        if self._is_silence_unproven(silent, seen):
            raise StepError(
                f"no other vantage point could ping {silent} again, and takeover.when_unreachable is refuse"
            )
        if not seen.witnessed:
            raise StepError("no witness answers any more: it may be this host that is cut off")
        return asked_at

    def _is_silence_unproven(self, silent: str | None, seen: Confirmed) -> bool:
        """Return whether the plan needs another vantage point that gets no echo, and there is none.

        A vantage point that could not ping does not count as one that got no echo.
        """
        return silent in self.context.needs_silence_elsewhere and not seen.silent_to

    def undo(self) -> None:
        """Do nothing: the step changes nothing."""
        return

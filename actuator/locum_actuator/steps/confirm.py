"""Confirm, right before a claim: check the witnesses, the network and the other vantage points once more."""

from __future__ import annotations

from locum_actuator.domain.ports import Confirmed
from locum_actuator.steps.base import Step, StepError
from locum_actuator.system import runtime

ASKS = 3  # a busy machine may ask too late, which alone is no reason to undo the steps before


class Confirm(Step):
    """Check that this host is not cut off, that no host has the address, and that none reaches the old holder."""

    def already(self) -> bool:
        """Return False: only a fresh check is evidence."""
        return False

    def do(self) -> str:
        """Run the checks; any unclear answer is a fault."""
        silent = self.context.silent_hosts or (None,)
        with runtime.pool(
            len(silent), name="confirm"
        ) as pool:  # all at once, because an answer is soon too old
            asked_at = list(pool.map(self._ask, silent))
        self.context.evidence.found_free(min(asked_at))
        return "no host answers for the address, and a witness answers"

    def _ask(self, silent: str | None) -> float:
        """Run the checks, including one of a silent host; return when they began. Raises `StepError`."""
        for _ in range(ASKS):
            asked_at = runtime.since_boot()
            seen = self.context.observer.confirm(self.context.name, silent)
            if seen.owners is not None and (seen.heard_by or not self._lacks_silence(silent, seen)):
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
        if self._lacks_silence(silent, seen):
            raise StepError(
                f"no other vantage point could ask {silent} again, and takeover.when_unreachable is refuse"
            )
        if not seen.witnessed:
            raise StepError("no witness answers any more: it may be this host that is cut off")
        return asked_at

    def _lacks_silence(self, silent: str | None, seen: Confirmed) -> bool:
        """Return whether the plan needs another vantage point that gets no echo, and there is none.

        A vantage point that could not ping does not count as one that got no echo.
        """
        return silent in self.context.needs_silence_elsewhere and not seen.silent_to

    def undo(self) -> None:
        """Do nothing: the step changes nothing."""
        return

"""Confirm: once more before anything is claimed, ask the witnesses, the wire and the other vantage points."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from locum_actuator.domain.ports import Confirmed
from locum_actuator.steps.base import StepContext, StepError
from locum_actuator.system import runtime

ASKS = 3  # a busy machine may be too late to ask: what was done is not undone for that alone


@dataclass(frozen=True, slots=True)
class Confirm:
    """Make sure that this host is not the one cut off, and that nobody has the address or hears its old holder."""

    context: StepContext
    host: str

    def already(self) -> bool:
        """Say no: a look is only worth something when it is fresh."""
        return False

    def do(self) -> str:
        """Ask; anything but a clear answer is a fault."""
        silent = self.context.silent_hosts or (None,)
        with ThreadPoolExecutor(len(silent)) as pool:  # at once, for an answer is soon too old
            asked_at = list(pool.map(self._ask, silent))
        self.context.evidence.found_free(min(asked_at))
        return "nobody answers for the address, and a witness answers"

    def _ask(self, silent: str | None) -> float:
        """Ask, also of one host that was silent, and return when it was asked; raises `StepError`."""
        for _ in range(ASKS):
            asked_at = runtime.since_boot()
            seen = self.context.observer.confirm(self.context.name, silent)
            if seen.owners is not None and (seen.heard_by or not self._lacks_silence(silent, seen)):
                break
        if seen.owners is None:
            raise StepError("nobody could be asked who has the address")
        hosts, strangers = seen.owners
        if self.context.service.address_commands is not None and self.context.old_holder is not None:
            hosts -= {self.context.old_holder}  # the record names it until the claim
        others = sorted((hosts - {self.host}) | strangers)
        if others:
            raise StepError(f"{', '.join(others)} still answers for the address")
        self.context.require_silent_holder(self.host)
        if seen.heard_by:
            by = ", ".join(seen.heard_by)
            raise StepError(f"{silent} answers {by}: the line to it is cut, not its power")
        if self._lacks_silence(silent, seen):
            raise StepError(
                f"no other vantage point could ask {silent} again, and takeover.when_unreachable is refuse"
            )
        if not seen.witnessed:
            raise StepError("no witness answers any more: it may be this host that is cut off")
        return asked_at

    def _lacks_silence(self, silent: str | None, seen: Confirmed) -> bool:
        """Tell whether no other vantage point got no echo, where the plan may not go on without one.

        A vantage point that could not ask is not one that got no echo.
        """
        return silent in self.context.needs_silence_elsewhere and not seen.silent_to

    def undo(self) -> None:
        """Nothing was done."""
        return

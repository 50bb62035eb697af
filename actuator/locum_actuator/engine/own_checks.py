"""The deciding checks, run by the actuator itself in each round: how a fault is noticed without any other part.

Exporters, Prometheus and Alertmanager notice faster. What this notices it notices with any of them dead, stopped,
silenced, or set back in time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from locum_actuator.domain.ports import Observer
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, is_wrong
from locum_actuator.system import runtime
from locum_exporter.result import Outcome

log = logging.getLogger(__name__)

# A failure through the address that its incident takes for none (the vantage point itself is cut off) comes again.
UNREACHED_AGAIN_SECONDS = 60.0
BLIND_ROUNDS = 3  # before people are told: a busy machine misses one now and then
EVERY_SECONDS = 4.0  # less than between two rounds: rounds come every second while a host is missing


@dataclass(frozen=True, slots=True)
class Failing:
    """What failed, in words that do not change while it lasts. `everywhere`: on the holder's own address too."""

    text: str
    everywhere: bool


@dataclass(slots=True)
class OwnChecks:
    """The deciding checks of one service: on its holder's own address, and through the service address."""

    service: str
    observer: Observer
    served: Callable[[str], None] = lambda host: None  # called where the service on a host answers
    reached: Callable[[Reach], None] = lambda reach: None  # called with what is found through the addresses
    reach: Reach | None = None  # what the last round found through the addresses
    _seen: CheckOutcome | None = None  # what the holder's own address answered last
    _blind_rounds: int = 0  # in a row in which the holder could not be checked
    _due_at: float = float("-inf")
    _told_at: float = float("-inf")  # when it was said last that the service is not reached

    def run(self, holder: str) -> Failing | None:
        """Run them where they are due; return what failed, if anything did.

        What fails is asked again at once. Only two failures count, and a look that could not be made is none.
        """
        now = runtime.monotonic()
        if now < self._due_at:
            return None
        self._due_at = now + EVERY_SECONDS
        outcome = self._own_address(holder)
        self._blind_rounds = self._blind_rounds + 1 if outcome is Outcome.NOT_LOOKED else 0
        if outcome is Outcome.WELL:
            self.served(holder)
        if outcome is Outcome.FAILED:
            if self._seen is not None and is_wrong(self._seen):
                return Failing(f"the service answers on {holder}, but not as expected", everywhere=True)
            return Failing(f"the service does not answer on {holder}", everywhere=True)
        if not self._is_unreached():
            self._told_at = float("-inf")
        elif now - self._told_at >= UNREACHED_AGAIN_SECONDS:
            self._told_at = now
            return Failing(f"the service answers on {holder} and not through its address", everywhere=False)
        return None

    def be_due(self) -> None:
        """Have the next round make the checks: an incident may have changed what the last ones found."""
        self._due_at = float("-inf")

    @property
    def blind(self) -> str | None:
        """Return in words why the holder could not be checked for some rounds in a row; None where it could."""
        if self._blind_rounds < BLIND_ROUNDS:
            return None
        return "the check broke: see the log" if self._seen is None else self._seen.text

    def _own_address(self, holder: str) -> Outcome:
        def look() -> CheckOutcome:
            self._seen = self.observer.service_on(self.service, holder)
            return self._seen

        return _asked_again(look)

    def _is_unreached(self) -> bool:
        def look() -> Reach | None:
            self.reach = self.observer.reach(self.service)
            if self.reach is not None:
                self.reached(self.reach)
            return self.reach

        return _asked_again(look) is Outcome.FAILED


def _asked_again(look: Callable[[], CheckOutcome | Reach | None]) -> Outcome:
    """Return what a check finds that is made once more where it fails; one that breaks could not be made."""
    outcome = Outcome.NOT_LOOKED
    for _ in range(2):
        try:
            seen = look()
        except Exception:
            log.warning("the round could not make a check", exc_info=True, extra={"event": "not_looked"})
            return Outcome.NOT_LOOKED
        outcome = Outcome.NOT_LOOKED if seen is None else seen.outcome
        if outcome is not Outcome.FAILED:
            break
    return outcome

"""Run the deciding checks in each patrol round, to detect faults without any other part of the chain.

Exporters, Prometheus and Alertmanager detect faults faster. These checks also work while any of them is dead,
stopped, silenced, or has a wrong clock.
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

# A failure through the address that its incident does not confirm is reported again after this time.
UNREACHED_AGAIN_SECONDS = 60.0
BLIND_ROUNDS = 3  # before people are notified: a busy machine misses a round now and then
EVERY_SECONDS = 4.0  # less than the time between two rounds; while a host is missing, rounds run every second


@dataclass(frozen=True, slots=True)
class Failing:
    """A failure, in words that stay the same while it lasts. `everywhere`: on the holder's own address too."""

    text: str
    everywhere: bool


@dataclass(slots=True)
class OwnChecks:
    """The deciding checks of one service: on its holder's own address, and through the service address."""

    service: str
    observer: Observer
    served: Callable[[str], None] = lambda host: None  # called if the service on a host answers
    reached: Callable[[Reach], None] = lambda reach: None  # called with the result through the addresses
    reach: Reach | None = None  # the last round's result through the addresses
    _seen: CheckOutcome | None = None  # the last result on the holder's own address
    _blind_rounds: int = 0  # consecutive rounds in which the holder could not be checked
    _due_at: float = float("-inf")
    _reported_at: float = float("-inf")  # when it was last reported that the service is not reached

    def run(self, holder: str) -> Failing | None:
        """Run the checks if they are due; return a failure, if there is one.

        A failed check is repeated at once, and only two failures count. A check that could not be made is none.
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
            self._reported_at = float("-inf")
        elif now - self._reported_at >= UNREACHED_AGAIN_SECONDS:
            self._reported_at = now
            return Failing(f"the service answers on {holder} but not through its address", everywhere=False)
        return None

    def be_due(self) -> None:
        """Make the next round run the checks: an incident may have changed their results."""
        self._due_at = float("-inf")

    @property
    def blind(self) -> str | None:
        """Return why the holder could not be checked for several rounds in a row; None if it could."""
        if self._blind_rounds < BLIND_ROUNDS:
            return None
        return "the check failed: see the log" if self._seen is None else self._seen.text

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
    """Return a check's outcome, repeating it once if it fails; NOT_LOOKED if it raises."""
    outcome = Outcome.NOT_LOOKED
    for _ in range(2):
        try:
            seen = look()
        except Exception:
            log.warning(
                "a check of the patrol round failed with an exception",
                exc_info=True,
                extra={"event": "not_looked"},
            )
            return Outcome.NOT_LOOKED
        outcome = Outcome.NOT_LOOKED if seen is None else seen.outcome
        if outcome is not Outcome.FAILED:
            break
    return outcome

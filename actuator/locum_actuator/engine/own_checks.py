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

# A failure through the service address that lasts is reported again only after this time.
UNREACHED_AGAIN_SECONDS = 60.0
UNCHECKED_ROUNDS = 3  # before people are notified: a busy machine misses a round now and then
# At each calm round (patrol.CALM_SECONDS, which has to be longer), and not at each of the rounds that run every
# second while a host is missing.
EVERY_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Failing:
    """A failure, in words that stay the same while it lasts."""

    text: str
    on_own_address: bool  # then the service address was not checked


@dataclass(slots=True)
class OwnChecks:
    """The deciding checks of one service: on its holder's own address, and through the service address."""

    service: str
    observer: Observer
    on_served: Callable[[str], None] = lambda host: None  # called if the service on a host answers
    on_reach: Callable[[Reach], None] = lambda reach: None  # called with the result through the addresses
    reach: Reach | None = None  # the last result through the addresses; kept while the own address fails
    _seen: CheckOutcome | None = None  # the last result on the holder's own address
    _unchecked_rounds: int = 0  # consecutive rounds in which the holder could not be checked
    _due_at: float = float("-inf")
    _reported_at: float = float("-inf")  # when it was last reported that the service is not reached

    def run(self, holder: str) -> Failing | None:
        """Run the checks if they are due; return a failure, if there is one.

        A failed check is repeated at once, and only two failures count. One that could not be made is no failure.
        """
        now = runtime.monotonic()
        if now < self._due_at:
            return None
        self._due_at = now + EVERY_SECONDS
        outcome = self._own_address(holder)
        self._unchecked_rounds = self._unchecked_rounds + 1 if outcome is Outcome.NOT_LOOKED else 0
        if outcome is Outcome.WELL:
            self.on_served(holder)
        if outcome is Outcome.FAILED:
            if self._seen is not None and is_wrong(self._seen):
                return Failing(f"the service answers on {holder}, but not as expected", on_own_address=True)
            return Failing(f"the service does not answer on {holder}", on_own_address=True)
        if not self._is_unreached():
            self._reported_at = float("-inf")
        elif now - self._reported_at >= UNREACHED_AGAIN_SECONDS:
            self._reported_at = now
            answers = f"answers on {holder} but not" if outcome is Outcome.WELL else "does not answer"
            return Failing(f"the service {answers} through its address", on_own_address=False)
        return None

    def make_due(self) -> None:
        """Make the next round run the checks: an incident may have changed their results."""
        self._due_at = float("-inf")

    @property
    def why_unchecked(self) -> str | None:
        """Return why the holder could not be checked for several rounds in a row; None if it could."""
        if self._unchecked_rounds < UNCHECKED_ROUNDS:
            return None
        return "the check raised an exception: see the log" if self._seen is None else self._seen.text

    def _own_address(self, holder: str) -> Outcome:
        def look() -> CheckOutcome:
            self._seen = None  # an exception must not leave the result of an earlier check
            self._seen = self.observer.service_on(self.service, holder)
            return self._seen

        return _repeated_if_failed(look)

    def _is_unreached(self) -> bool:
        def look() -> Reach | None:
            self.reach = self.observer.reach(self.service)
            if self.reach is not None:
                self.on_reach(self.reach)
            return self.reach

        return _repeated_if_failed(look) is Outcome.FAILED


def _repeated_if_failed(look: Callable[[], CheckOutcome | Reach | None]) -> Outcome:
    """Return a check's outcome, repeating it once if it fails; NOT_LOOKED if it raises."""
    outcome = Outcome.NOT_LOOKED
    for _ in range(2):
        try:
            seen = look()
        except Exception:
            log.warning(
                "a check of the patrol round could not be made: it raised an exception",
                exc_info=True,
                extra={"event": "not_looked"},
            )
            return Outcome.NOT_LOOKED
        outcome = Outcome.NOT_LOOKED if seen is None else seen.outcome
        if outcome is not Outcome.FAILED:
            break
    return outcome

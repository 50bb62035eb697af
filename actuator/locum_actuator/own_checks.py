"""The deciding checks, run by the actuator itself in each round: how a fault is noticed without any other part.

Exporters, Prometheus and Alertmanager notice faster. What this notices it notices with any of them dead, stopped,
silenced, or set back in time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from locum_actuator.situation import Look
from locum_actuator.steps.base import Eyes
from locum_exporter.result import Outcome

log = logging.getLogger(__name__)

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
    local_host: str  # the actuator's own
    eyes: Eyes
    served: Callable[[str], None] = lambda host: None  # called where the service on a host answers
    seen: dict[str, Look] = field(default_factory=dict)  # what each look found last, by what was asked
    _due_at: float = float("-inf")

    def run(self, holder: str) -> Failing | None:
        """Run them where they are due; return what failed, if anything did.

        What fails is asked again at once. Only two failures count, and a look that could not be made is none.
        """
        now = time.monotonic()
        if now < self._due_at:
            return None
        self._due_at = now + EVERY_SECONDS
        if self._fails("own address", lambda: self.eyes.service_on(self.service, holder)):
            return Failing(f"the service does not answer on {holder}", everywhere=True)
        if self.seen["own address"].outcome is Outcome.WELL:
            self.served(holder)
        if holder == self.local_host:
            self.seen.pop("service address", None)  # from here it would be no more than the look before
            return None
        if self._fails("service address", lambda: self.eyes.service_through_address(self.service)):
            return Failing(f"the service answers on {holder} and not through its address", everywhere=False)
        return None

    def _fails(self, what: str, look: Callable[[], Look]) -> bool:
        for _ in range(2):
            try:
                seen = self.seen[what] = look()
            except Exception:
                log.warning(
                    "the round could not look at the %s", what, exc_info=True, extra={"event": "not_looked"}
                )
                return False
            if seen.outcome is not Outcome.FAILED:
                return False
        return True

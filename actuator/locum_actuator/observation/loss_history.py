"""Track which hosts recently answered with loss or delay, and how long each has been silent since.

One burst of 20 echoes distinguishes a dead host from one behind 30 % loss each way. Behind 60 % each way all 20 are
lost once in 33 bursts (0.84^20), which checks once a second meet within ten minutes. A host that answered with loss
therefore has to be silent for longer before it counts as dead. One that dies without loss does not.
"""

from __future__ import annotations

from collections.abc import Mapping

from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import HostView, Situation
from locum_actuator.system import runtime
from locum_exporter.result import Outcome

LOSSY_SECONDS = 120.0  # for this long after loss, a host's silence is doubted
ECHOES_AFTER_LOSS = (
    120  # unanswered in a row; behind 60 % loss each way less than once in a billion (0.84^120)
)


class LossHistory:
    """The loss found by earlier checks of one service's hosts. Threads may share it."""

    def __init__(self) -> None:
        self._lock = runtime.lock()
        self._lossy_at: dict[str, float] = {}
        self._unanswered: dict[str, int] = {}
        self._reached: set[str] = set()

    def heir(self, *, same_way: bool) -> LossHistory:
        """Return a history that starts with this one, for the worker after a reload.

        `same_way` says whether addresses and checks are unchanged. If not, it is not known which vantage points
        reach the service through them.
        """
        heir = LossHistory()
        with self._lock:
            heir._lossy_at, heir._unanswered = dict(self._lossy_at), dict(self._unanswered)
            heir._reached = set(self._reached) if same_way else set()
        return heir

    def looked(self, situation: Situation) -> None:
        """Record the results of one check."""
        self.reached_by(situation.reach)
        with self._lock:
            for name, view in situation.hosts.items():
                if not _heard(view, situation):
                    self._unanswered[name] = self._unanswered.get(name, 0) + view.echoes_sent
                    continue
                self._unanswered[name] = 0
                if view.echoes_received < view.echoes_sent or view.slow:
                    self._lossy_at[name] = runtime.monotonic()

    def reached_by(self, reach: Reach | None) -> None:
        """Record the vantage points that reached a service through its addresses."""
        looks = () if reach is None else reach.outside
        with self._lock:
            self._reached |= {look.vantage_point for look in looks if look.outcome is Outcome.WELL}

    def reached(self) -> frozenset[str]:
        """Return the vantage points that have reached the service through its addresses."""
        with self._lock:
            return frozenset(self._reached)

    def doubted(self) -> Mapping[str, int]:
        """Return the hosts whose silence may still be loss: name -> echoes unanswered since the last answer."""
        now = runtime.monotonic()
        with self._lock:
            return {
                name: self._unanswered[name]
                for name, at in self._lossy_at.items()
                if now - at < LOSSY_SECONDS and self._unanswered[name] < ECHOES_AFTER_LOSS
            }


def _heard(view: HostView, situation: Situation) -> bool:
    """Return whether a host answered at all: an echo, its gate, its service, or for the address."""
    answers_for_the_address = view.name in situation.holders and not situation.by_command
    pinged = view.echoes_received or view.slow or view.pinged_by
    return bool(pinged or view.gate_answers or view.serves or answers_for_the_address)

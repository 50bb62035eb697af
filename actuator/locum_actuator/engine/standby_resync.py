"""Bring a host that lost a service in a takeover up to date as soon as it is back, so that it is a standby again.

The schedule would do it too, perhaps tomorrow. Where the host has data of its own the mirror run is refused, and a
person is asked; it is not tried again until the service has moved.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from locum_actuator.decision.standby_checklist import Item
from locum_actuator.engine.periodic import PeriodicThread
from locum_actuator.engine.worker import Worker
from locum_actuator.system import runtime
from locum_actuator.system.background import Health

log = logging.getLogger(__name__)

TICK_SECONDS = 2.0
_SEEN_TO_BY_A_RUN = {"data", "newer"}


class StandbyResync(PeriodicThread):
    """The thread that looks who has come home."""

    every_seconds = TICK_SECONDS
    log = log
    what_rests = "nobody is brought up to date"
    known_as = "the look-out for hosts that come home"

    def __init__(self, workers: Callable[[], Mapping[str, Worker]], health: Health | None = None) -> None:
        super().__init__("homecoming", health)
        self._workers = workers
        self._tried: set[tuple[str, str, int]] = set()  # service, host, epoch

    def tick(self) -> None:
        """Look at every mirrored service once, and begin what is due, each in a thread of its own."""
        for name, worker in self._workers().items():
            context = worker.context
            if context.service.mirror is None or context.service.takeover.mode == "observe":
                continue
            holder = context.journal.holder(name)
            if holder.host is None or worker.incident is not None or context.journal.pause(name) is not None:
                continue
            for host, items in worker.patrol.checklists().items():
                mark = (name, host, holder.epoch)
                if mark not in self._tried and is_home(items):
                    self._tried.add(mark)
                    run = runtime.thread(
                        context.mirrors.run,
                        args=(name, holder.host, host),
                        name=f"home-{name}",
                    )
                    run.start()


def is_home(items: tuple[Item, ...]) -> bool:
    """Tell whether nothing but a mirror run keeps a host that lost the service from being a standby again."""
    waiting = {item.name for item in items if not item.ok}
    return "newer" in waiting and waiting <= _SEEN_TO_BY_A_RUN

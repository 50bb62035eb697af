"""Mirror to a host that lost a service in a takeover as soon as it is back, so that it is a standby again.

The schedule would do it too, but possibly much later. If the host has data of its own, the mirror run is refused
and a person has to decide; it is not tried again until the service has moved.
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
    """The thread that checks which hosts have returned."""

    every_seconds = TICK_SECONDS
    log = log
    what_rests = "returned hosts are not mirrored to"
    known_as = "the resync of returned hosts"

    def __init__(self, workers: Callable[[], Mapping[str, Worker]], health: Health | None = None) -> None:
        super().__init__("homecoming", health)
        self._workers = workers
        self._tried: set[tuple[str, str, int]] = set()  # service, host, epoch

    def tick(self) -> None:
        """Check every mirrored service once, and begin the runs that are due, each in its own thread."""
        for name, worker in self._workers().items():
            context = worker.context
            if context.service.mirror is None or context.service.takeover.mode == "observe":
                continue
            holder = context.journal.holder(name)
            if (
                holder.host is None
                or worker.incident is not None
                or context.journal.pauses.current(name) is not None
            ):
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
    """Return whether a mirror run is all that a host that lost the service needs to be a standby again."""
    waiting = {item.name for item in items if not item.ok}
    return "newer" in waiting and waiting <= _SEEN_TO_BY_A_RUN

"""Move a service back to its preferred host automatically, if the site file says `failback: auto`.

This is never urgent: the preferred host must have been a standby for long enough, the time must be inside the
configured window, and locum never does it twice in a row without a person, because the cause of the first failover
may still be there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from locum_actuator.decision.standby_checklist import Item, is_complete
from locum_actuator.domain.plan import Move
from locum_actuator.engine.move_requests import MoveRefusedError, MoveRequests
from locum_actuator.engine.periodic import PeriodicThread
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.moves import MoveDone
from locum_actuator.system import runtime
from locum_actuator.system.background import Health
from locum_inventory.site.model import Service

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The state that an automatic failback of one service depends on."""

    items: tuple[Item, ...]  # the checklist of the preferred host
    busy: str | None  # why no failback may begin now: an incident, a pause, observe mode
    last: MoveDone | None  # the last planned move


def held_back(service: Service, seen: Moment, sound_seconds: float, now: datetime) -> str | None:
    """Return why a service is not moved back now; None if it is due. `now` is local time."""
    preferred = service.preferred
    if service.failback.mode == "manual":
        return f"a person has to move it back to {preferred}: `locum failback`"
    if seen.last is not None and seen.last.asked_by is None:
        return (
            f"locum moved it back to {preferred} before, and it failed over again: a person must move it now"
        )
    if not is_complete(seen.items):
        open_items = "; ".join(item.text for item in seen.items if not item.ok)
        return f"{preferred} is not a standby yet: {open_items}"
    if seen.busy is not None:
        return seen.busy
    if (left := service.failback.after - sound_seconds) > 0:
        return f"{preferred} has to stay a standby for another {left:.0f} s"
    if not service.failback.allows(now.time()):
        return f"it is moved back only between {service.failback.window}"
    return None


class AutoFailback(PeriodicThread):
    """The thread that checks once a second which services can be moved back."""

    every_seconds = TICK_SECONDS
    log = log
    what_rests = "automatic failback is suspended"
    known_as = "automatic failback"

    def __init__(
        self,
        workers: Callable[[], Mapping[str, Worker]],
        move_requests: MoveRequests,
        health: Health | None = None,
    ) -> None:
        super().__init__("failback", health)
        self._workers = workers
        self._move_requests = move_requests
        self._sound_since: dict[str, float] = {}
        self._words: dict[str, str] = {}

    def words(self, service: str) -> str | None:
        """Return why a service is not moved back to its preferred host; None if it is there."""
        return self._words.get(service)

    def tick(self) -> None:
        """Check every service once, and begin the failbacks that are due."""
        workers = self._workers()
        for name in self._words.keys() - workers.keys():
            self._forget(name)
        for name, worker in workers.items():
            self._look(name, worker)

    def _look(self, name: str, worker: Worker) -> None:
        service = worker.context.service
        if worker.context.journal.holder(name).host in {None, service.preferred}:
            self._forget(name)
            return
        seen, now = _moment(worker), runtime.monotonic()
        if not is_complete(seen.items) or seen.busy is not None:
            self._sound_since[name] = now
        since = self._sound_since.setdefault(name, now)
        why = held_back(service, seen, now - since, datetime.fromtimestamp(runtime.wall_time()))
        self._words[name] = why or "it is being moved back"
        if why is None:
            self._sound_since[name] = now  # if the failback fails, the full waiting time starts again
            self._begin(name)

    def _begin(self, name: str) -> None:
        try:
            self._move_requests.begin(name, Move("failback", reason="failback: auto"))
        except MoveRefusedError as fault:
            log.warning("not moved back: %s", fault, extra={"event": "not_brought_back", "service": name})

    def _forget(self, name: str) -> None:
        self._words.pop(name, None)
        self._sound_since.pop(name, None)


def _moment(worker: Worker) -> Moment:
    context = worker.context
    name, service, journal = context.name, context.service, context.journal
    busy = None
    if service.takeover.mode == "observe":
        busy = "mode is observe"
    elif worker.incident is not None:
        busy = f"incident {worker.incident} is open"
    elif (pause := journal.pauses.current(name)) is not None:
        busy = f"it is paused: {pause.reason}"
    items = worker.patrol.checklists().get(service.preferred, ())
    return Moment(items, busy, journal.moves.last(name))

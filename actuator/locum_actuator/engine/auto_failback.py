"""Bring a service back to its preferred host by itself, where the site file says `failback: auto`.

Never in a hurry: the preferred host must have been a sound standby for long enough, the time of the day must be
right, and it is never done twice in a row without a person: what took the service away after one may do so again.
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
from locum_actuator.journal.journal import MoveDone
from locum_actuator.system import runtime
from locum_actuator.system.background import Health
from locum_inventory.site.model import Service

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What a failback by itself depends on, for one service."""

    items: tuple[Item, ...]  # the checklist of the preferred host
    busy: str | None  # why nothing of the kind may be begun now: an incident, a pause, observe mode
    last: MoveDone | None  # the last planned move


def held_back(service: Service, seen: Moment, sound_seconds: float, now: datetime) -> str | None:
    """Return why a service is not brought back now, in words; None where it is to be. `now` is local time."""
    preferred = service.preferred
    if service.failback.mode == "manual":
        return f"a person brings it back to {preferred}: `locum failback`"
    if seen.last is not None and seen.last.asked_by is None:
        return f"it was brought back to {preferred} by itself before, and went away again: a person must do it now"
    if not is_complete(seen.items):
        open_items = "; ".join(item.text for item in seen.items if not item.ok)
        return f"{preferred} is no standby yet: {open_items}"
    if seen.busy is not None:
        return seen.busy
    if (left := service.failback.after - sound_seconds) > 0:
        return f"{preferred} has to be sound for {left:.0f} s more"
    if not service.failback.allows(now.time()):
        return f"it is brought back between {service.failback.window}"
    return None


class AutoFailback(PeriodicThread):
    """The thread that looks once a second which service may come back."""

    every_seconds = TICK_SECONDS
    log = log
    what_rests = "nothing is brought back"
    known_as = "the look-out for the way back"

    def __init__(
        self,
        workers: Callable[[], Mapping[str, Worker]],
        move_requests: MoveRequests,
        monotonic: Callable[[], float] = runtime.monotonic,
        local_time: Callable[[], datetime] = lambda: datetime.fromtimestamp(runtime.wall_time()),
        health: Health | None = None,
    ) -> None:
        super().__init__("failback", health)
        self._workers = workers
        self._move_requests = move_requests
        self._monotonic = monotonic
        self._local_time = local_time
        self._sound_since: dict[str, float] = {}
        self._words: dict[str, str] = {}

    def words(self, service: str) -> str | None:
        """Return why a service that is not on its preferred host is not brought back; None where it is there."""
        return self._words.get(service)

    def tick(self) -> None:
        """Look at every service once, and begin what is due."""
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
        seen, now = _moment(worker), self._monotonic()
        if not is_complete(seen.items) or seen.busy is not None:
            self._sound_since[name] = now
        since = self._sound_since.setdefault(name, now)
        why = held_back(service, seen, now - since, self._local_time())
        self._words[name] = why or "it is being brought back"
        if why is None:
            self._sound_since[name] = now  # where it does not work the whole time counts anew
            self._begin(name)

    def _begin(self, name: str) -> None:
        try:
            self._move_requests.begin(name, Move("failback", reason="failback: auto"))
        except MoveRefusedError as fault:
            log.warning("not brought back: %s", fault, extra={"event": "not_brought_back", "service": name})

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
    elif (pause := journal.pause(name)) is not None:
        busy = f"it is paused: {pause.reason}"
    items = worker.patrol.checklists().get(service.preferred, ())
    return Moment(items, busy, journal.last_move(name))

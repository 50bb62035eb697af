"""Collect what the page shows, in plain values. It reads known state and checks no host."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from locum_actuator.api.readiness import unready
from locum_actuator.chain.silences import Silences
from locum_actuator.chain.watch import ChainPart
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import Explanation
from locum_actuator.engine.move_requests import Progress
from locum_actuator.journal.incidents import IncidentQueries
from locum_actuator.page.check_results import Votes
from locum_actuator.page.incident_timeline import draw
from locum_actuator.page.service_card import service_view

LISTED = 12  # incidents on the first page
KEPT_PICTURES = 300
LIVELY_SECONDS = 10.0  # after an incident, because more may happen
REFUSED_SECONDS = 600.0  # a refused move is shown for this long


class PageView:
    """Build scenes; keep the timelines of closed incidents, because they no longer change."""

    def __init__(
        self, engine: Engine, shelf: IncidentQueries, chain: Callable[[], Sequence[ChainPart]]
    ) -> None:
        self._engine = engine
        self._shelf = shelf
        self._chain = chain
        self._pictures: OrderedDict[tuple[Any, ...], dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()  # of the pictures
        self._moves_seen: dict[
            str, tuple[int, float]
        ] = {}  # service -> number of its last move, since when refused

    def scene(self, votes: Votes, silences: Silences, outlook: Mapping[str, Explanation]) -> dict[str, Any]:
        """Return everything that the first page shows."""
        engine, now = self._engine, time.time()
        listed = [self.pictured(row, now) for row in self._shelf.rows(limit=LISTED + 1)]
        # An incident may be open for so long that it is no longer among the last.
        open_now = [self.pictured(row, now) for row in self._shelf.open_rows()]
        last = {row["id"]: row["last"] for row in open_now}
        ended = _ends_of(listed)
        services = [
            {
                **service_view(
                    engine, name, votes=votes, silences=silences, outlook=outlook,
                    last_words=last.get(engine.workers[name].incident), ended_at=ended.get(name, 0.0),
                ),
                "move": self._move_text(name, engine.move_requests.progress(name), now),
            }
            for name in list(engine.workers)
        ]  # fmt: skip
        why = unready(engine, self._chain())
        over = [row for row in listed if row["closed_at"] is not None]
        telling = [row for row in over if row["outcome"] != "nothing"]
        return {
            "host": engine.site.actuator.host,
            "zone": time.strftime("UTC%z", time.localtime(now)),
            "services": services,
            "shown": open_now or telling[:1] or over[:1],
            "incidents": listed[:LISTED],
            "more": len(listed) > LISTED,
            "lively": bool(why or open_now or any(now - row["closed_at"] < LIVELY_SECONDS for row in over)),
            "chain": list(self._chain()),
            "unready": why,
            "silences_fault": silences.fault,
            "wanting": [service for service in services if service["level"] != "ok"],
            "level": "bad" if why or any(one["level"] == "bad" for one in services) else
            "warn" if any(one["level"] == "warn" for one in services) else "ok",
        }  # fmt: skip

    def pictured(self, row: dict[str, Any], now: float) -> dict[str, Any]:
        """Return an incident of the list with its details and its timeline."""
        key = (row["id"], row["closed_at"], row["looks"])
        with self._lock:
            if (known := self._pictures.get(key)) is not None:
                self._pictures.move_to_end(key)
                return known
        whole = self._shelf.one(row["id"]) or {**row, "alerts": [], "events": [], "planned": None}
        # Whole seconds: an open incident is not redrawn more often than a person can read it.
        made = {**whole, "last": last_words(whole["events"]), "picture": draw(whole, float(int(now)))}
        if row["closed_at"] is not None:
            with self._lock:
                self._pictures[key] = made
                if len(self._pictures) > KEPT_PICTURES:
                    self._pictures.popitem(last=False)
        return made

    def _move_text(self, name: str, progress: Progress | None, now: float) -> str | None:
        """Return the progress of a planned move; None once its incident shows it, or long after it was refused."""
        if progress is None or progress.incident is not None:
            return None
        move = progress.move
        what = f"{move.verb} to {move.target}" if move.target else move.verb
        if progress.phase not in {"refused", "failed"}:
            return f"{what}: {progress.text or 'has started'}"
        number, since = self._moves_seen.get(name, (0, now))
        if number != progress.number:
            self._moves_seen[name] = (progress.number, since := now)
        ended = "was refused" if progress.phase == "refused" else "failed"
        return f"{what} {ended}: {progress.text}" if now - since < REFUSED_SECONDS else None


def _ends_of(incidents: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return when the last incident that changed something ended, by service."""
    ends: dict[str, float] = {}
    for row in incidents:
        if row["closed_at"] is not None and row["outcome"] != "nothing":
            ends[row["service"]] = max(row["closed_at"], ends.get(row["service"], 0.0))
    return ends


def last_words(events: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the last event of an incident as a complete text; None if there is none."""
    if not events:
        return None
    last = events[-1]
    if last["step"] is None:
        return str(last["text"])
    what = f"{last['step']} on {last['host']}"
    if last["kind"] == "started":
        return f"{what} is under way"
    return f"{what} {last['kind'].replace('_', ' ')}: {last['text']}"

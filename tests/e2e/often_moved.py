"""locum in a lab whose service is moved again and again: no budget, no cooldown, and a way back to a."""

from __future__ import annotations

import time
from typing import Any, Self

from lab.lab import Lab
from lab.locum import Locum
from lab.site_text import TAKEOVER, after, before
from tests.support.polling import wait_for

WAIT_SECONDS = 30.0
SETTLED_SECONDS = 3.0  # an alert that has not resolved would not be sent again


class OftenMoved(Locum):
    """`takeover` holds lines for the service's takeover section, `service` such for the service itself."""

    def __init__(
        self, lab: Lab, *, takeover: dict[str, object] | None = None, service: str = "", **settings: Any
    ) -> None:
        super().__init__(lab, **settings)
        self._takeover = {"max_per_hour": 60, "max_respawns_per_hour": 60, "cooldown": 0, **(takeover or {})}
        self._service = service

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def own_site(self, text: str) -> str:
        keys = "".join(f"      {key}: {value}\n" for key, value in self._takeover.items())
        return before(after(super().own_site(text), TAKEOVER, keys), "    standby: ", self._service)

    def bring_back(self) -> None:
        """Make a the holder again where it is not, by a fault on b; return when all is calm."""
        lab = self.lab
        if not lab.hosts["a"].up:
            lab.reboot("a")
        lab.repair("a")
        if lab.holders() != ["a"]:
            self.wait_calm()
            at = lab.hang_service("b")
            self.wait_incident("takeover", since=at, seconds=WAIT_SECONDS)
        lab.client.wait_good(timeout=WAIT_SECONDS)
        self.wait_calm()
        assert lab.holders() == ["a"]

    def wait_calm(self) -> None:
        """Wait until no incident is open, and then until every alert has resolved."""
        wait_for(lambda: all(row["outcome"] for row in self.incidents()), "no open incident", WAIT_SECONDS)
        time.sleep(SETTLED_SECONDS)

    def wait_event(self, at: float, kind: str, begins: str = "", seconds: float = WAIT_SECONDS) -> str:
        """Wait for an event of an incident at `at` (time.time()) or later; return its text."""
        return wait_for_event(self, at, kind, begins, seconds)


def wait_for_event(locum: Locum, at: float, kind: str, begins: str = "", seconds: float = 30.0) -> str:
    """Wait for an event of an incident at `at` (time.time()) or later; return its text."""

    def found() -> str | None:
        for row in locum.incidents():
            for event in row["events"]:
                if event["at"] >= at and event["kind"] == kind and event["text"].startswith(begins):
                    return str(event["text"])
        return None

    return wait_for(found, f"the event '{kind} {begins}' has happened", seconds, state=locum.incidents)

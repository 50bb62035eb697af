"""Bring a drawn schedule upon the simulated world, with the site of the lab (`three` of the campaign there)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from locum_inventory.site.model import Site
from sim import profiles, scenario
from sim.course import Course, Drawn, incidents
from sim.faults import Fault
from sim.invariants import Invariants
from sim.schedule import Schedule
from sim.world import Event

LAB = profiles.Profile("lab", ("a", "b"), ("b", "c"), "b", "refuse")
FIRST_SECONDS = 5.0  # of a scenario in which no fault comes
# How much of a fault: three seconds until a service answers after a start, a boot without the service address.
AMOUNTS = {"slow_start": 0.21, "crash": 0.9}
WITH_EVENTS = re.compile(r"incident (?P<number>\d+): (?P<kind>\w+) (?P<step>\w*): ")


def site(profile: profiles.Profile) -> Site:
    """Return the site file of the lab, as `locum init` writes it."""
    values = profiles.site(profile)
    service = values.services[profiles.SERVICE]
    assert service.commands is not None
    lab = service.model_copy(
        update={
            "commands": service.commands.model_copy(update={"respawn": "apachectl restart"}),
            "takeover": service.takeover.model_copy(update={"cooldown": 60.0, "max_per_hour": 3}),
        }
    )
    return values.model_copy(update={"services": {profiles.SERVICE: lab}})


class _Watched(Invariants):
    """Notes at every event which host serves, as a client sees it."""

    def check(self) -> None:
        """Note it, and check the promises."""
        serving = [name for name, host in self.world.hosts.items() if host.serves]
        _served.append((self.world.now, serving[0] if serving else None))
        super().check()


_served: list[tuple[float, str | None]] = []  # of the scenario under way


def in_simulator(faults: Sequence[Drawn], seed: int = 1) -> Course:
    """Run a schedule; return what locum did. Raises AssertionError if it broke a promise."""
    drawn = tuple(
        Fault(
            one.kind, one.host, FIRST_SECONDS + one.begins, one.heals - one.begins,
            amount=AMOUNTS.get(one.kind, 0.5),
        )
        for one in faults
    )  # fmt: skip
    _served.clear()
    with (
        patch.dict(profiles.PROFILES, {LAB.name: LAB}),
        patch.object(scenario, "site", site),
        patch.object(scenario, "Invariants", _Watched),
    ):
        result = scenario.run(Schedule(seed, LAB.name, drawn))
    assert result.broken is None, result.broken
    begun = next(event.at for event in result.events if event.text.startswith("fault: "))
    seconds = sum(
        later - at for (at, host), (later, _) in pairwise(_served) if host is None and later > begun
    )
    numbered = dict(zip(_numbers(result.events), reversed(result.outcomes), strict=True))
    rows = (
        {"outcome": outcome, "events": _rows(result.events, number)} for number, outcome in numbered.items()
    )
    return Course(incidents(rows), _served[-1][1], round(seconds, 2))


def _numbers(events: Iterable[Event]) -> list[int]:
    """Return the numbers of all incidents, in order."""
    found = (re.match(r"incident (\d+): ", event.text) for event in events)
    return sorted({int(match.group(1)) for match in found if match is not None})


def _rows(events: Iterable[Event], number: int) -> list[dict[str, Any]]:
    """Return the events of an incident, as its journal's rows."""
    found = ((WITH_EVENTS.match(event.text), event.host) for event in events)
    return [
        {"kind": match["kind"], "step": match["step"] or None, "host": host}
        for match, host in found
        if match is not None and int(match["number"]) == number
    ]

"""Bring a drawn schedule upon the simulated world, with the site of the lab (`three` of the campaign there)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sim.course import Course, Drawn, incidents
from sim.faults import Fault
from sim.profiles import LAB
from sim.scenario import run
from sim.schedule import Schedule
from sim.world import World

FIRST_SECONDS = 5.0  # of a scenario in which no fault comes
# How much of a fault: three seconds until a service answers after a start, a boot without the service address.
AMOUNTS = {"slow_start": 0.21, "crash": 0.9}


def in_simulator(faults: Sequence[Drawn], seed: int = 1) -> Course:
    """Run a schedule; return what locum did. Raises AssertionError if it broke a promise."""
    drawn = tuple(
        Fault(
            one.kind, one.host, FIRST_SECONDS + one.begins, one.heals - one.begins,
            amount=AMOUNTS.get(one.kind, 0.5),
        )
        for one in faults
    )  # fmt: skip
    served: list[tuple[float, str | None]] = []  # by which host, as a client sees it

    def watch(world: World) -> None:
        served.append((world.now, next((name for name, host in world.hosts.items() if host.serves), None)))

    result = run(Schedule(seed, LAB.name, drawn), watch=watch)
    assert result.broken is None, result.broken
    begun = next(event.at for event in result.events if event.text.startswith("fault: "))
    seconds = sum(later - at for (at, host), (later, _) in pairwise(served) if host is None and later > begun)
    return Course(incidents(reversed(result.incidents)), served[-1][1], round(seconds, 2))

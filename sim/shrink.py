"""Shrink a schedule that breaks a promise to the shortest that still does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sim.faults import Fault
from sim.schedule import Schedule

SHORT_SECONDS = 0.5


def shrink(schedule: Schedule, breaks: Callable[[Schedule], bool]) -> Schedule:
    """Return the schedule without all that it breaks without: whole faults first, then how long each lasts."""
    shorter = _without(schedule, breaks)
    for number in range(len(shorter.faults)):
        for simpler in _simpler(shorter.faults[number]):
            faults = (*shorter.faults[:number], simpler, *shorter.faults[number + 1 :])
            tried = replace(shorter, faults=faults)
            if breaks(tried):
                shorter = tried
                break
    return shorter


def _without(schedule: Schedule, breaks: Callable[[Schedule], bool]) -> Schedule:
    """Leave out faults: half of those that are left, then a quarter, and at last each."""
    left = schedule
    size = max(1, len(left.faults) // 2)
    while True:
        at = 0
        while at < len(left.faults):
            fewer = replace(left, faults=left.faults[:at] + left.faults[at + size :])
            if breaks(fewer):
                left = fewer
            else:
                at += size
        if size == 1:
            return left
        size = max(1, size // 2)


def _simpler(fault: Fault) -> Iterator[Fault]:
    """Yield simpler faults of the same kind."""
    if fault.operations is not None:
        yield replace(fault, operations=None, in_plan=False)
    if fault.lasts > SHORT_SECONDS:
        yield replace(fault, lasts=SHORT_SECONDS)
        yield replace(fault, lasts=fault.lasts / 2)

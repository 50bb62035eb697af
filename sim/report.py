"""Report a violation: what was broken, by which faults, how to run it again, and all that happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.scenario import Result
from sim.virtual_time import STARTS_AT


def report(result: Result, path: Path) -> Iterator[str]:
    """Yield the lines of an incident report. `path` is the file that the schedule was written to."""
    schedule = result.schedule
    yield f"VIOLATION: {result.broken}"
    yield f"  profile {schedule.profile}, seed {schedule.seed}; again: python -m sim --replay {path}"
    yield "  the shortest schedule that breaks it:"
    for fault in schedule.faults:
        yield f"    {fault}"
    yield "  timeline (seconds since the beginning, host, what happened):"
    yield from timeline(result)


def timeline(result: Result) -> Iterator[str]:
    """Yield what happened, a line an event; the same line again and again is left out."""
    before = ""
    for event in result.events:
        words = f"{event.host or '':2} {event.text}"
        if words != before:
            yield f"    {event.at - STARTS_AT:9.3f} {words}"
        before = words

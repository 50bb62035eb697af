"""Run many scenarios, in several processes, and shrink those that break a promise."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from sim.scenario import Result, run
from sim.schedule import Schedule, drawn
from sim.shrink import shrink


def run_all(schedules: Iterator[Schedule], jobs: int) -> Iterator[Result]:
    """Yield the result of each scenario without its events, as soon as it is there."""
    briefly = partial(run, brief=True)
    with ExitStack() as stack:
        if jobs == 1:
            yield from map(briefly, schedules)
            return
        # Each process is a fresh one: what it imports is the same, and nothing of this one's state is in it.
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(jobs))
        yield from pool.imap_unordered(briefly, schedules, chunksize=4)


def draw_many(first: int, faults: int, profile: str | None) -> Iterator[Schedule]:
    """Yield schedules of consecutive seeds, without end."""
    seed = first
    while True:
        yield drawn(seed, faults, profile)
        seed += 1


def shrunk(result: Result) -> Result:
    """Return the shortest scenario that breaks the same promise."""
    kind = broken_kind(result.broken or "")

    def breaks(schedule: Schedule) -> bool:
        broken = run(schedule, brief=True).broken
        return broken is not None and broken_kind(broken) == kind

    shorter = run(shrink(result.schedule, breaks))
    return shorter if shorter.broken is not None else run(result.schedule)


def broken_kind(broken: str) -> str:
    """Return a violation without its numbers and hosts, so that two of them can be compared."""
    return " ".join(word for word in broken.split() if word.isalpha() and len(word) > 1)

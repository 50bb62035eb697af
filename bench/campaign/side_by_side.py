"""Runs scenarios in several labs side by side, each in a process of its own: a lab lives as long as its maker."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from bench.campaign.schedule import Scenario
from bench.campaign.systems import CANDIDATES
from bench.campaign.trial import Result, run

TRIES = 3
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True, slots=True)
class Job:
    """A scenario, and the name of the system that it is brought upon."""

    system: str
    scenario: Scenario

    @property
    def name(self) -> str:
        """Both, in words."""
        return f"{self.system} {self.scenario.name}"


def run_all(jobs: Sequence[Job], labs: int, keep: Path | None) -> Iterator[tuple[Job, Result | str]]:
    """Yield what came of each job as it ends, or, each time that it could not be run, why in words.

    One that could not be run, which says nothing of what is tried, is run again when the others have ended.
    """
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(labs, mp_context=spawn, initializer=_end_with, initargs=(os.getpid(),))
    try:
        for _ in range(TRIES):
            again: list[Job] = []
            doing = {pool.submit(run_one, job.system, keep, job.scenario): job for job in jobs}
            for done in as_completed(doing):
                job = doing[done]
                try:
                    yield job, done.result()
                except Exception as fault:  # the others are still worth running
                    again.append(job)
                    yield job, f"could not be run: {type(fault).__name__}: {fault}"
            jobs = again
    finally:
        pool.shutdown(cancel_futures=True)  # who breaks off waits for what is under way, and for nothing else


def _end_with(maker: int) -> None:
    """Have the kernel end this process when its maker is gone, however that ended: its lab then ends as well."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != maker:
        os._exit(1)


def run_one(name: str, keep: Path | None, one: Scenario) -> Result:
    """Run one scenario against the system of that name, in this process."""
    candidate = CANDIDATES[name]
    return run(one, candidate.hosts, candidate.make, None if keep is None else keep / name)

"""Runs scenarios in several labs side by side, each in a process of its own: a lab lives as long as its maker."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from bench.campaign.schedule import Scenario
from bench.campaign.systems import CANDIDATES
from bench.campaign.trial import Result, run


def run_all(name: str, wanted: Sequence[Scenario], labs: int, keep: Path | None) -> Iterator[Result | str]:
    """Yield what came of each scenario as it ends, or, where it could not be run, why in words."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(labs, mp_context=spawn) as pool:
        doing = {pool.submit(run_one, name, keep, one): one for one in wanted}
        for done in as_completed(doing):
            try:
                yield done.result()
            except Exception:  # the others are still worth running
                yield f"scenario {doing[done].name} could not be run:\n{traceback.format_exc()}"


def run_one(name: str, keep: Path | None, one: Scenario) -> Result:
    """Run one scenario against the system of that name, in this process."""
    candidate = CANDIDATES[name]
    return run(one, candidate.hosts, candidate.make, keep)

"""Seconds without service when the holder is killed, hung or crashed, or moved by plan: `make bench-outage`.

Each run of `hung` and `crashed` gets a lab of its own, for afterwards b holds the service. The fault comes at a
random phase of the scrape interval. Prints a table and writes bench/results/outage.json.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from lab.lab import Lab
from lab.locum import Locum
from lab.trial import FAULTS, MOVES, Fault, Trial, planned, trial

RESULTS = Path(__file__).parent / "results" / "outage.json"
SYSTEM, PROFILE = "locum", "250ms"
PAUSE_SECONDS = 6.0  # between two faults in one lab: the alert before must have resolved
# A fault after which a still holds the service needs no new lab.
KEEPS_HOLDER = {"killed"}
MOVED = "switchover"  # and back again: two planned moves a run


def main() -> int:
    """Run the benchmark; exit 1 if a run did not end as it should."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7, help="runs a fault (default 7)")
    parser.add_argument(
        "--fault", action="append", choices=[*FAULTS, MOVED], help="only this fault; may be repeated"
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    asked = parser.parse_args()
    console = Console(highlight=False)
    names = asked.fault or [*FAULTS, MOVED]
    trials: list[Trial] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("faults", total=asked.runs * len(names))
        for name in names:
            for one in _moves(asked.runs) if name == MOVED else _runs(FAULTS[name], asked.runs):
                trials.append(one)
                progress.console.print(_line(one))
                progress.advance(task, 0 if one.fault.name == "failback" else 1)
    _report(console, trials)
    _write(asked.output, trials)
    return 1 if any(one.faults() for one in trials) else 0


def _runs(fault: Fault, count: int) -> Iterator[Trial]:
    if fault.name in KEEPS_HOLDER:
        with Lab() as lab, Locum(lab) as locum:
            for _ in range(count):
                time.sleep(PAUSE_SECONDS + random.random())
                yield trial(lab, locum, fault)
        return
    for _ in range(count):
        with Lab() as lab, Locum(lab) as locum:
            time.sleep(1.0 + random.random())
            yield trial(lab, locum, fault)


def _moves(count: int) -> Iterator[Trial]:
    """Yield planned moves, there and back."""
    with Lab() as lab, Locum(lab) as locum:
        for _ in range(count):
            for move in MOVES.values():
                time.sleep(PAUSE_SECONDS + random.random())
                yield planned(lab, locum, move)


def _line(one: Trial) -> str:
    seconds = "none" if one.seconds_without_service is None else f"{one.seconds_without_service:.2f}"
    return f"{one.fault.name}: {seconds} s without service {'; '.join(one.faults())}"


def _report(console: Console, trials: list[Trial]) -> None:
    table = Table(title=f"Seconds without service, interval {PROFILE}", title_justify="left")
    for column in ("fault", "runs", "median", "range", "held by two, s", "as promised"):
        table.add_column(column, justify="right")
    for name in dict.fromkeys(one.fault.name for one in trials):
        mine = [one for one in trials if one.fault.name == name]
        seconds = [one.seconds_without_service for one in mine if one.seconds_without_service is not None]
        table.add_row(
            name,
            str(len(mine)),
            f"{median(seconds):.2f}" if seconds else "-",
            f"{min(seconds):.2f} to {max(seconds):.2f}" if seconds else "-",
            f"{max(one.held_by_two_seconds for one in mine):.2f}",
            f"{sum(not one.faults() for one in mine)} of {len(mine)}",
        )
    console.print(table)


def _write(path: Path, trials: list[Trial]) -> None:
    runs: list[dict[str, Any]] = [
        {
            "system": SYSTEM,
            "profile": PROFILE,
            "fault": one.fault.name,
            "seconds_without_service": one.seconds_without_service,
            "held_by_two_seconds": one.held_by_two_seconds,
            "failed_requests": one.failed_requests,
            "answered_by": one.answered_by,
        }
        for one in trials
    ]
    runs = _of_other_faults(path, {run["fault"] for run in runs}) + runs
    medians: dict[str, float] = {}
    for name in dict.fromkeys(run["fault"] for run in runs):
        seconds = [run["seconds_without_service"] for run in runs if run["fault"] == name]
        if back := [one for one in seconds if one is not None]:
            medians[name] = median(back)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": runs, "median": {SYSTEM: {PROFILE: medians}}}, indent=2) + "\n")


def _of_other_faults(path: Path, faults: set[str]) -> list[dict[str, Any]]:
    """Return the runs that the file holds of other faults than these: one fault may be measured anew by itself."""
    if not path.exists():
        return []
    return [run for run in json.loads(path.read_text())["runs"] if run["fault"] not in faults]


if __name__ == "__main__":
    sys.exit(main())

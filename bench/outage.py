"""Seconds without service when the holder is killed, hung or crashed, or moved by plan: `make bench-outage`.

Each run of `hung` and `crashed` gets a lab of its own, because afterwards b holds the service. The fault comes at a
random phase of the scrape interval. Prints a table and writes bench/results/outage.json. With `--beside` another
checkout, such as an older version with its own .venv, takes turns with this one.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.often_taken_over import takeover_line
from lab.lab import Lab
from lab.locum import Locum
from lab.trial import FAULTS, MOVES, Fault, Trial, planned, trial

RESULTS = Path(__file__).parent / "results" / "outage.json"
SYSTEM, PROFILE = "locum", "250ms"
PAUSE_SECONDS = 6.0  # between two faults in one lab: the alert before must have resolved
Run = dict[str, Any]  # as the results have it
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
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="take turns with another checkout")
    parser.add_argument("--output", type=Path, default=RESULTS)
    asked = parser.parse_args()
    console = Console(highlight=False)
    names = asked.fault or [*FAULTS, MOVED]
    turns = 1 if asked.beside is None else asked.runs
    trials: list[Trial] = []
    others: list[Run] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("faults", total=asked.runs * len(names))
        for _ in range(turns):
            for name in names:
                for one in _of(name, asked.runs // turns):
                    trials.append(one)
                    progress.console.print(takeover_line(one.fault.name, one))
                    progress.advance(task, 0 if one.fault.name == "failback" else 1)
            if asked.beside is not None:
                others += _one_turn(asked.beside.resolve(), names)
    runs = [_as_run(one) for one in trials]
    _report(console, SYSTEM, runs, [not one.faults() for one in trials])
    for system in dict.fromkeys(run["system"] for run in others):
        _report(console, system, [run for run in others if run["system"] == system])
    _write(asked.output, runs + others)
    return 1 if any(one.faults() for one in trials) else 0


def _of(name: str, count: int) -> Iterator[Trial]:
    return _moves(count) if name == MOVED else _runs(FAULTS[name], count)


def _one_turn(checkout: Path, names: list[str]) -> list[Run]:
    """Run each fault once with another checkout; its rows bear its commit."""
    git = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "outage.json"
        faults = [word for name in names for word in ("--fault", name)]
        words = [str(checkout / ".venv/bin/python"), "-m", "bench.outage", "--runs", "1", *faults]
        # Exit 1 says that a run did not end as promised: its row is there all the same.
        subprocess.run(
            [*words, "--output", str(output)], cwd=checkout, stdout=subprocess.DEVNULL, check=False
        )
        runs: list[Run] = json.loads(output.read_text())["runs"]
    return [{**run, "system": f"{SYSTEM} {commit}"} for run in runs]


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


def _report(console: Console, system: str, runs: list[Run], kept: list[bool] | None = None) -> None:
    """Print the table of one system; `kept` says of each run whether it ended as promised, where that is known."""
    table = Table(title=f"Seconds without service, {system}, interval {PROFILE}", title_justify="left")
    for column in ("fault", "runs", "median", "range", "held by two, s", *(["as promised"] if kept else [])):
        table.add_column(column, justify="right")
    for name in dict.fromkeys(run["fault"] for run in runs):
        mine = [run for run in runs if run["fault"] == name]
        seconds = _seconds(mine)
        promised = [well for run, well in zip(runs, kept or (), strict=False) if run["fault"] == name]
        table.add_row(
            name,
            str(len(mine)),
            f"{median(seconds):.2f}" if seconds else "-",
            f"{min(seconds):.2f} to {max(seconds):.2f}" if seconds else "-",
            f"{max(run['held_by_two_seconds'] for run in mine):.2f}",
            *([f"{sum(promised)} of {len(mine)}"] if kept else []),
        )
    console.print(table)


def _seconds(runs: list[Run]) -> list[float]:
    return [seconds for run in runs if (seconds := run["seconds_without_service"]) is not None]


def _as_run(one: Trial) -> Run:
    return {
        "system": SYSTEM,
        "profile": PROFILE,
        "fault": one.fault.name,
        "seconds_without_service": one.seconds_without_service,
        "held_by_two_seconds": one.held_by_two_seconds,
        "failed_requests": one.failed_requests,
        "answered_by": one.answered_by,
    }


def _write(path: Path, new: list[Run]) -> None:
    runs = _of_other_faults(path, {run["fault"] for run in new}) + new
    medians: dict[str, dict[str, dict[str, float]]] = {}
    for system, name in dict.fromkeys((run["system"], run["fault"]) for run in runs):
        mine = [run for run in runs if (run["system"], run["fault"]) == (system, name)]
        if seconds := _seconds(mine):
            medians.setdefault(system, {}).setdefault(PROFILE, {})[name] = median(seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": runs, "median": medians}, indent=2) + "\n")


def _of_other_faults(path: Path, faults: set[str]) -> list[dict[str, Any]]:
    """Return the runs that the file holds of other faults than these: a single fault can be measured again."""
    if not path.exists():
        return []
    return [run for run in json.loads(path.read_text())["runs"] if run["fault"] not in faults]


if __name__ == "__main__":
    sys.exit(main())

"""For how long two hosts hold the address when the old holder returns: `python -m bench.returning --runs 7`.

a dies holding the service, b takes over, and three seconds later a has its power back. Each run gets a lab of its
own. The watcher measures the time independently of locum: it asks on the wire every 20 ms which host has the
address. Prints a table and writes bench/results/returning.json.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from lab.comeback import AWAY_SECONDS, WAYS, Comeback, Way, come_back, crash_and_take_over, locum_for
from lab.lab import Lab

RESULTS = Path(__file__).parent / "results" / "returning.json"


def main() -> int:
    """Run the benchmark; exit 1 if a run did not end as promised."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7, help="runs for each way to boot (default 7)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    asked = parser.parse_args()
    console = Console(highlight=False)
    found: list[Comeback] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("returns", total=asked.runs * len(WAYS))
        for way in WAYS.values():
            for _ in range(asked.runs):
                found.append(one := _run(way))
                progress.console.print(f"{way.name}: {_milliseconds(one):.0f} ms {'; '.join(one.faults())}")
                progress.advance(task)
    _report(console, found)
    _write(asked.output, found)
    return 1 if any(one.faults() for one in found) else 0


def _run(way: Way) -> Comeback:
    with Lab() as lab, locum_for(lab, way) as locum:
        crash_and_take_over(lab, locum, way)
        time.sleep(AWAY_SECONDS + random.random())  # at any phase of what locum does each second
        return come_back(lab, way)


def _milliseconds(one: Comeback) -> float:
    return one.held_by_two_seconds * 1000


def _report(console: Console, found: list[Comeback]) -> None:
    table = Table(title="Milliseconds in which two hosts held the address", title_justify="left")
    for column in ("the host that returns is", "runs", "median", "range", "as promised"):
        table.add_column(column, justify="left" if column.startswith("the") else "right")
    for way in WAYS.values():
        mine = [one for one in found if one.way == way]
        held = [_milliseconds(one) for one in mine]
        table.add_row(
            way.name,
            str(len(mine)),
            f"{median(held):.0f}",
            f"{min(held):.0f} to {max(held):.0f}",
            f"{sum(not one.faults() for one in mine)} of {len(mine)}",
        )
    console.print(table)


def _write(path: Path, found: list[Comeback]) -> None:
    runs = [
        {
            "way": one.way.name,
            "held_by_two_ms": round(_milliseconds(one)),
            "longest_gap_ms": round(one.longest_gap_seconds * 1000),
            "failed_requests": one.failed_requests,
            "faults": one.faults(),
        }
        for one in found
    ]
    medians = {
        way.name: round(median(_milliseconds(one) for one in found if one.way == way))
        for way in WAYS.values()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": runs, "median_ms": medians}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

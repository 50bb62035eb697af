"""Do people who watch the page slow a takeover? And does it answer while one runs? `python -m bench.page`.

One lab. Apache on a is hung, b takes over, and a planned move brings the service back: again and again, in turn
without browsers and with many browsers that poll the page, and clients that request everything else. The
journal holds a thousand past incidents. Prints two tables and writes bench/results/page.json; exit 1 if a run did
not end as it should, or an answer was late or none.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.often_taken_over import START_SECONDS, OftenTakenOver, bring_back, takeover_line
from bench.page_past import fill
from lab.host import CHECKOUT
from lab.lab import Lab
from lab.locum import HOME, Locum
from lab.namespaces import PYTHON
from lab.trial import FAULTS, Trial, trial

RESULTS = Path(__file__).parent / "results" / "page.json"
BROWSERS = CHECKOUT / "bench" / "inside" / "browsers.py"
ACTUATOR_PORT = 10752
OPEN_SECONDS = 3.0  # the pages are open for so long before the fault
ASK_SECONDS = 0.3  # between two questions of each client that asks one thing of the rest
LATE_SECONDS = 0.05  # what is promised for p99


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer. `status` 0: there was none."""

    name: str
    seconds: float
    status: int


class WithPast(OftenTakenOver):
    """The same, with a past."""

    def __init__(self, lab: Lab, incidents: int) -> None:
        super().__init__(lab)
        self._incidents = incidents

    def up(self) -> None:
        """Give it its past, and start it."""
        state = self.lab.hosts[HOME].root / "var/lib/locum"
        with TemporaryDirectory() as directory:  # SQLite does not find its way into another host's disk
            made = Path(directory) / "journal.sqlite"
            fill(made, "www", self._incidents)
            shutil.copyfile(made, state / made.name)
        self.lab.run(HOME, ["chown", "-R", "locum:", "/var/lib/locum"])
        super().up()


def main() -> int:
    """Run the benchmark."""
    asked = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    alone: list[tuple[Trial, float]] = []
    watched: list[tuple[Trial, float]] = []
    answers: list[Asked] = []
    load = os.getloadavg()[0]
    with Lab() as lab, WithPast(lab, asked.incidents) as locum:
        lab.client.wait_good(timeout=START_SECONDS)
        for _ in range(asked.runs):
            alone.append(_run(lab, locum))
            console.print(takeover_line("no browser watches", alone[-1][0]))
            bring_back(lab, locum)
            with _watching(lab, asked.browsers, asked.incidents // 2, answers):
                watched.append(_run(lab, locum))
            console.print(takeover_line(f"{asked.browsers} browsers watch", watched[-1][0]))
            bring_back(lab, locum)
    result = _result(asked, alone, watched, answers, (load + os.getloadavg()[0]) / 2)
    _report(console, result)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 1 if result["faults"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7, help="takeovers with and without browsers (default 7)")
    parser.add_argument("--browsers", type=int, default=50, help="that have the page open (default 50)")
    parser.add_argument("--incidents", type=int, default=1000, help="in the journal (default 1000)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


def _run(lab: Lab, locum: Locum) -> tuple[Trial, float]:
    """Have b take over from a; return what came of it, and the actuator's share of a core meanwhile."""
    begun, spent = time.monotonic(), _cpu_seconds(lab)
    time.sleep(OPEN_SECONDS + random.random())
    done = trial(lab, locum, FAULTS["hung"])
    return done, (_cpu_seconds(lab) - spent) / (time.monotonic() - begun)


def _cpu_seconds(lab: Lab) -> float:
    """Return what the actuator has used of a core until now: proc(5), utime and stime."""
    stat = lab.run(HOME, ["sh", "-c", "cat /proc/$(pgrep -o -f locum_actuator.server)/stat"]).stdout
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _watching(lab: Lab, browsers: int, number: int, answers: list[Asked]) -> Iterator[None]:
    """Let browsers poll the page, and add the answers to `answers`."""
    words = [*PYTHON, str(BROWSERS), str(browsers), str(ACTUATOR_PORT), str(ASK_SECONDS), str(number)]
    watching = lab.popen(HOME, words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        output, _ = watching.communicate(timeout=30)
        for line in output.splitlines():
            name, _, seconds, status = json.loads(line)
            answers.append(Asked(name, seconds, status))


def _result(
    asked: argparse.Namespace,
    alone: list[tuple[Trial, float]],
    watched: list[tuple[Trial, float]],
    answers: list[Asked],
    load: float,
) -> dict[str, Any]:
    """Return everything that was measured, and what was not as promised."""
    takeovers = {
        what: sorted(
            one.seconds_without_service for one, _ in runs if one.seconds_without_service is not None
        )
        for what, runs in (("alone", alone), ("watched", watched))
    }
    ratio = median(takeovers["watched"]) / median(takeovers["alone"]) if all(takeovers.values()) else None
    latencies = {}
    for name in sorted({one.name for one in answers}):
        mine = sorted(one.seconds for one in answers if one.name == name)
        latencies[name] = {
            "asked": len(mine),
            "p50_seconds": round(mine[len(mine) // 2], 5),
            "p99_seconds": round(mine[min(len(mine) - 1, int(len(mine) * 0.99))], 5),
            "max_seconds": round(mine[-1], 5),
        }
    faults = [fault for one, _ in (*alone, *watched) for fault in one.faults()]
    faults += [f"{one.name} was answered {one.status}" for one in answers if one.status not in {200, 304}]
    faults += [
        f"{name}: p99 is {one['p99_seconds'] * 1000:.0f} ms"
        for name, one in latencies.items()
        if one["p99_seconds"] > LATE_SECONDS
    ]
    return {
        "browsers": asked.browsers,
        "past_incidents": asked.incidents,
        "seconds_without_service": takeovers,
        "actuator_cpu_share": {
            "alone": round(median(share for _, share in alone), 4),
            "watched": round(median(share for _, share in watched), 4),
        },
        "ratio": None if ratio is None else round(ratio, 3),
        "latencies": latencies,
        "load_average": round(load, 1),
        "faults": faults,
    }


def _report(console: Console, result: dict[str, Any]) -> None:
    table = Table(title="Seconds without service, a hung, b takes over", title_justify="left")
    for column in ("", "runs", "median", "range", "actuator, % of a core"):
        table.add_column(column, justify="right")
    for what, words in (("alone", "no browser watches"), ("watched", f"{result['browsers']} browsers watch")):
        seconds = result["seconds_without_service"][what]
        if seconds:
            spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}"
            share = f"{result['actuator_cpu_share'][what] * 100:.1f}"
            table.add_row(words, str(len(seconds)), f"{median(seconds):.2f}", spread, share)
    console.print(table)
    console.print(f"ratio {result['ratio']}; load average of the machine {result['load_average']}")
    table = Table(
        title=f"Milliseconds to an answer meanwhile, {result['past_incidents']} past incidents",
        title_justify="left",
    )
    for column in ("", "asked", "p50", "p99", "longest"):
        table.add_column(column, justify="right")
    for name, one in result["latencies"].items():
        ms = (f"{one[key] * 1000:.1f}" for key in ("p50_seconds", "p99_seconds", "max_seconds"))
        table.add_row(name, str(one["asked"]), *ms)
    console.print(table)
    for fault in dict.fromkeys(result["faults"]):
        console.print(fault)


if __name__ == "__main__":
    sys.exit(main())

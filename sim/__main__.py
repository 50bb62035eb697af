"""Run the actuator as it ships in a simulated world, under faults that a seed draws: `make sim`.

Each scenario takes two minutes of virtual time under faults, and the time that locum needs to put all right after
them. A scenario that breaks a promise (sim/invariants.py) is shrunk to the shortest schedule that still breaks it,
written to a file for --replay, and reported with its timeline.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from rich.console import Console

from sim.campaign import draw_many, run_all, shrunk
from sim.profiles import PROFILES
from sim.report import report, timeline
from sim.scenario import Result, run
from sim.schedule import Schedule

IN_EACH = 10
PROGRESS_SECONDS = 10.0


def main() -> int:
    """Run what was asked for; return 1 if a scenario broke a promise."""
    asked = _arguments().parse_args()
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    if asked.replay is not None:
        result = run(Schedule.read(asked.replay))
        _print(console, timeline(result))
        console.print(result.broken or "no promise was broken")
        return 1 if result.broken is not None else 0
    first = secrets.randbelow(10**9) if asked.seed is None else asked.seed
    console.print(f"seeds from {first} on, {asked.in_each} faults in each scenario, {asked.jobs} processes")
    return _campaign(asked, first, console)


def _campaign(asked: argparse.Namespace, first: int, console: Console) -> int:
    """Run scenarios until there were enough faults, or hours, or a violation."""
    begun = said_at = time.monotonic()
    scenarios = violations = brought = 0
    ends_at = None if asked.hours is None else begun + asked.hours * 3600
    schedules = draw_many(first, asked.in_each, asked.profile)
    if ends_at is None and not asked.until_broken:
        last = first - (-asked.faults // asked.in_each)
        schedules = takewhile(lambda schedule: schedule.seed < last, schedules)
    for result in run_all(schedules, asked.jobs):
        scenarios, brought = scenarios + 1, brought + len(result.schedule.faults)
        if result.broken is not None:
            violations += 1
            _tell(console, result, asked.into)
        now = time.monotonic()
        if now - said_at >= PROGRESS_SECONDS:
            said_at = now
            _say(console, scenarios, brought, violations, now - begun)
        if (asked.until_broken and violations) or (ends_at is not None and now >= ends_at):
            break
    _say(console, scenarios, brought, violations, time.monotonic() - begun)
    return 1 if violations else 0


def _tell(console: Console, result: Result, into: Path) -> None:
    """Shrink a violation, write its schedule to a file, and print the report."""
    console.print(f"seed {result.schedule.seed} ({result.schedule.profile}): {result.broken}; shrinking")
    shorter = shrunk(result)
    into.mkdir(parents=True, exist_ok=True)
    path = into / f"{result.schedule.profile}-{result.schedule.seed}.json"
    shorter.schedule.write(path)
    _print(console, report(shorter, path))


def _say(console: Console, scenarios: int, brought: int, violations: int, seconds: float) -> None:
    a_minute = brought * 60 / max(seconds, 1e-3)
    console.print(
        f"{scenarios} scenarios, {brought} faults, {a_minute:.0f} a minute; {violations} scenarios broke a promise"
    )


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sim", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="the first one [default: drawn, and printed]")
    parser.add_argument("--faults", type=int, default=1000, help="in all [default: 1000]")
    parser.add_argument("--hours", type=float, help="run for so long instead")
    parser.add_argument("--until-broken", action="store_true", help="run until a promise is broken")
    parser.add_argument("--in-each", type=int, default=IN_EACH, help="faults in each scenario [default: 10]")
    parser.add_argument("--profile", choices=sorted(PROFILES), help="[default: drawn for each scenario]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="[default: one a core]")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run a schedule again, and print it all")
    parser.add_argument(
        "--into", type=Path, default=Path("sim-violations"), help="where schedules that break a promise go"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

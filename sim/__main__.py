"""Run the actuator as it ships in a simulated world, under faults that a seed draws: `make sim`.

Each scenario takes two minutes of virtual time under faults, and two without. A scenario that breaks a promise is
printed with its seed and with the shortest schedule that still breaks it; `--seed N --scenarios 1 --events` shows
its course.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import time
from collections.abc import Callable

from rich.console import Console

from sim import faults as sim_faults
from sim.faults import Fault
from sim.scenario import HOSTS, SECONDS, Result, run


def schedule(seed: int, faults: int) -> list[Fault]:
    """Return the faults of a seed."""
    return sim_faults.draw(random.Random(seed), faults, HOSTS, SECONDS)


def shortest(
    seed: int, faults: list[Fault], run_one: Callable[[int, list[Fault]], Result] = run
) -> list[Fault]:
    """Leave out each fault without which a promise is still broken."""
    left = list(faults)
    for fault in faults:
        fewer = [other for other in left if other is not fault]
        if run_one(seed, fewer).broken is not None:
            left = fewer
    return left


def main() -> int:
    """Run what was asked for; return 1 if a scenario broke a promise."""
    parser = argparse.ArgumentParser(
        prog="python -m sim", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="the first one [default: drawn, and printed]")
    parser.add_argument("--scenarios", type=int, default=100)
    parser.add_argument("--faults", type=int, default=10, help="in each scenario")
    parser.add_argument("--events", action="store_true", help="print the course of each scenario")
    asked = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    first = secrets.randbelow(10**9) if asked.seed is None else asked.seed
    console.print(f"seeds {first} to {first + asked.scenarios - 1}, {asked.faults} faults each")
    begun, wrong = time.monotonic(), 0
    for number, seed in enumerate(range(first, first + asked.scenarios), 1):
        result = run(seed, schedule(seed, asked.faults))
        if asked.events:
            _print_course(console, result)
        if result.broken is not None:
            wrong += 1
            console.print(f"seed {seed}: {result.broken}", markup=False)
            for fault in shortest(seed, list(result.faults)):
                console.print(f"  {fault}", markup=False)
        if number % 50 == 0:
            console.print(f"{number} of {asked.scenarios} scenarios, {wrong} broke a promise")
    brought = asked.scenarios * asked.faults
    a_minute = brought * 60 / (time.monotonic() - begun)
    console.print(f"{brought} faults, {a_minute:.0f} a minute; {wrong} scenarios broke a promise")
    return 1 if wrong else 0


def _print_course(console: Console, result: Result) -> None:
    for event in result.events:
        console.print(f"{event.at:9.3f} {event.host or '':2} {event.text}", markup=False)


if __name__ == "__main__":
    sys.exit(main())

"""Where the processor's time goes while scenarios run, by the part of the program that spends it itself."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from sim.scenario import run
from sim.schedule import drawn

# Parts of paths, the first that fits counts; what fits none is Python's own library, and what it calls.
PARTS: Mapping[str, tuple[str, ...]] = {
    "scheduler: which thread is next, waiting": ("sim/virtual_time.py", "sim/waitables.py", "greenlet"),
    "invariants": ("sim/invariants.py", "sim/evidence.py", "sim/timers.py"),
    "SQLite": ("sqlite3", "Connection.execute", "/journal/", "sim/disk.py"),
    "hosts, gates, wire, checks, chain": ("/sim/",),
    "locum's metrics": ("prometheus_client", "locum_actuator/metrics.py"),
    "locum": ("/locum_actuator/", "/locum_inventory/", "/locum_exporter/"),
}
REST = "Python's library"


def spent(scenarios: int, first_seed: int, faults: int) -> Mapping[str, float]:
    """Return the seconds that each part spent itself while the scenarios ran; the profiler slows all of them."""
    run(drawn(first_seed, faults), brief=True)  # imports, and what is kept after the first use
    profile = cProfile.Profile()
    profile.enable()
    for seed in range(first_seed + 1, first_seed + 1 + scenarios):
        run(drawn(seed, faults), brief=True)
    profile.disable()
    seconds: Counter[str] = Counter()
    for (path, _, function), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        where = f"{path} {function}"
        seconds[next((name for name, words in PARTS.items() if any(w in where for w in words)), REST)] += own
    return seconds


def main() -> int:
    """Print the table; return 0."""
    parser = argparse.ArgumentParser(prog="python -m sim.time_spent", description=__doc__)
    parser.add_argument("--scenarios", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="the first one [default: 1]")
    parser.add_argument("--faults", type=int, default=10, help="in each scenario [default: 10]")
    asked = parser.parse_args()
    seconds = spent(asked.scenarios, asked.seed, asked.faults)
    table, total = Table("part", "of the time"), sum(seconds.values())
    for name, one in sorted(seconds.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{one / total:.0%}")
    Console(highlight=False).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

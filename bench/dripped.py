"""Does a local user without rights slow a takeover? `make bench-dripped`, or `python -m bench.dripped`.

One lab. Apache on a is hung, b takes over, and a planned move brings the service back: again and again, in turn
without another user on b and with one there, who has no rights and holds many slow connections to every socket of
locum, Prometheus and Alertmanager. Prints a table and writes bench/results/dripped.json; exit 1 if a run did not
end as it should, or the takeovers took more than a tenth longer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.often_taken_over import START_SECONDS, OftenTakenOver, bring_back, takeover_line
from lab.host import CHECKOUT
from lab.lab import Lab
from lab.locum import HOME, POWERLESS, STATE, Locum
from lab.namespaces import PYTHON
from lab.trial import FAULTS, Trial, trial

RESULTS = Path(__file__).parent / "results" / "dripped.json"
LOCAL_USER = CHECKOUT / "bench" / "inside" / "local_user.py"
# Of the exporter, the page, the webhook, Prometheus, Alertmanager, and the one of the commands, closed to him.
SOCKETS = ("http:10751", "http:10752", "tls:10753", "tls:9090", "tls:9093", f"unix:{STATE}/actuator.sock")
HELD_SECONDS = 3.0  # the connections are held for so long before the fault
SLOWER_AT_MOST = 1.1  # what is promised


def main() -> int:
    """Run the benchmark."""
    asked = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    alone: list[Trial] = []
    dripped: list[Trial] = []
    held: dict[str, tuple[int, str]] = {}
    load = os.getloadavg()[0]
    with Lab() as lab, OftenTakenOver(lab) as locum:
        lab.client.wait_good(timeout=START_SECONDS)
        for _ in range(asked.runs):
            alone.append(_run(lab, locum))
            console.print(takeover_line("without", alone[-1]))
            bring_back(lab, locum)
            with dripping(lab, asked.connections, held):
                dripped.append(_run(lab, locum))
            console.print(takeover_line("with a local user", dripped[-1]))
            bring_back(lab, locum)
    result = _result(asked, alone, dripped, held, (load + os.getloadavg()[0]) / 2)
    _report(console, result)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 1 if result["faults"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.dripped", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=14, help="takeovers with and without him (default 14)")
    parser.add_argument("--connections", type=int, default=1000, help="to each socket (default 1000)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


def _run(lab: Lab, locum: Locum) -> Trial:
    """Have b take over from a; return what came of it."""
    time.sleep(HELD_SECONDS + random.random())
    return trial(lab, locum, FAULTS["hung"])


@contextmanager
def dripping(lab: Lab, connections: int, held: dict[str, tuple[int, str]]) -> Iterator[None]:
    """Have a user without rights on b hold so many slow connections to every socket of locum.

    Adds to `held`, by socket, how many he had at once at most, and why he was refused one; "" if he was not.
    """
    user = lab.popen(
        HOME, [*POWERLESS, *PYTHON, str(LOCAL_USER), str(connections), *SOCKETS],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert user.stdout is not None
        assert user.stdout.readline() == "dripping\n"
        yield
    finally:
        said, _ = user.communicate(timeout=30)
        for name, (most, refused) in json.loads(said).items():
            before, why = held.get(name, (0, ""))
            held[name] = (max(before, most), refused or why)


def _result(
    asked: argparse.Namespace,
    alone: list[Trial],
    dripped: list[Trial],
    held: dict[str, tuple[int, str]],
    load: float,
) -> dict[str, Any]:
    """Return everything that was measured, and what was not as promised."""
    takeovers = {
        what: sorted(one.seconds_without_service for one in runs if one.seconds_without_service is not None)
        for what, runs in (("alone", alone), ("dripped", dripped))
    }
    ratio = median(takeovers["dripped"]) / median(takeovers["alone"]) if all(takeovers.values()) else None
    faults = [fault for one in (*alone, *dripped) for fault in one.faults()]
    if ratio is not None and ratio > SLOWER_AT_MOST:
        faults.append(f"a local user makes a takeover {(ratio - 1) * 100:.0f} % longer")
    return {
        "connections": asked.connections,
        "held": {name: {"most": most, "refused": refused} for name, (most, refused) in held.items()},
        "seconds_without_service": takeovers,
        "ratio": None if ratio is None else round(ratio, 3),
        "load_average": round(load, 1),
        "faults": faults,
    }


def _report(console: Console, result: dict[str, Any]) -> None:
    table = Table(title="Seconds without service, a hung, b takes over", title_justify="left")
    for column in ("", "runs", "median", "range"):
        table.add_column(column, justify="right")
    words = f"he holds {result['connections']} connections to each socket"
    for what, name in (("alone", "without a local user"), ("dripped", words)):
        seconds = result["seconds_without_service"][what]
        if seconds:
            spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}"
            table.add_row(name, str(len(seconds)), f"{median(seconds):.2f}", spread)
    console.print(table)
    console.print(f"ratio {result['ratio']}; load average of the machine {result['load_average']}")
    for name, one in result["held"].items():
        refused = f"; then: {one['refused']}" if one["refused"] else ""
        console.print(f"{name}: {one['most']} held at once{refused}")
    for fault in dict.fromkeys(result["faults"]):
        console.print(fault)


if __name__ == "__main__":
    sys.exit(main())

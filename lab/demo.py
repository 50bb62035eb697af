"""`make demo`: locum keeps a web site alive on two hosts while its holder is killed, hung and crashed."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from lab.lab import Lab
from lab.locum import Locum
from lab.needs import LabFault
from lab.timeline import draw, moments
from lab.trial import FAULTS, Trial, trial

# After a takeover b holds the service, so the crash gets a lab of its own in which a does.
ACTS = (("killed", "hung"), ("crashed",))


def main() -> int:
    """Run every act; return 0 if everything held."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    trials: list[Trial] = []
    begun = time.monotonic()
    try:
        for names in ACTS:
            trials += _act(console, names)
    except LabFault as fault:
        console.print(f"[bold red]demo:[/] {fault}", markup=True)
        return 1
    return _conclude(console, trials, time.monotonic() - begun)


def _act(console: Console, names: tuple[str, ...]) -> list[Trial]:
    console.rule("two hosts, a gateway and a client; Apache on a")
    trials = []
    with (
        Lab() as lab,
        Locum(lab, say=lambda line: console.print(f"  {line}", style="dim", markup=False)) as locum,
    ):
        for name in names:
            fault = FAULTS[name]
            console.rule(f"Apache on a is {name}" if name != "crashed" else "a loses its power")
            done = trial(lab, locum, fault)
            draw(console, moments(done, locum), f"{fault.name}: {fault.promise}")
            seconds = done.seconds_without_service
            told = "it did not come back" if seconds is None else f"{seconds:.2f}"
            console.print(f"[bold]seconds without service: {told}[/]")
            trials.append(done)
    return trials


def _conclude(console: Console, trials: list[Trial], seconds: float) -> int:
    table = Table(title="What the client saw", title_justify="left", title_style="bold")
    for column in (
        "fault",
        "promise",
        "seconds without service",
        "failed requests",
        "held by two, s",
        "held?",
    ):
        table.add_column(column)
    for one in trials:
        without = one.seconds_without_service
        faults = one.faults()
        table.add_row(
            one.fault.name,
            one.fault.promise,
            "-" if without is None else f"{without:.2f}",
            str(one.failed_requests),
            f"{one.held_by_two_seconds:.2f}",
            "[green]yes[/]" if not faults else f"[red]no: {'; '.join(faults)}[/]",
        )
    console.print(table)
    console.print(f"took {seconds:.0f} s")
    return 1 if any(one.faults() for one in trials) else 0


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: locum keeps a web site available on two hosts while its holder is killed, hung and crashed.

Its files are mirrored, and in between Prometheus is queried for every panel of the dashboards and every rule.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.lab import Lab
from lab.locum import Locum
from lab.mirrored import MirroredLocum
from lab.needs import LabError
from lab.seen import ask
from lab.timeline import draw, moments
from lab.trial import FAULTS, Trial, trial

# After a takeover b holds the service, so the crash runs in a separate lab in which a holds it.
MIRROR_SECONDS = 30.0  # long enough for a run of a few files that locum started itself
ACTS = (("killed", "hung"), ("crashed",))
FILES = {"index.html": "<html>one</html>", "pages/about.html": "<html>about</html>"}


def main(words: Sequence[str] | None = None) -> int:
    """Run all acts; return 0 if all expectations were met."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.png", help="draw the first act as dashboards show it"
    )
    parser.add_argument(
        "--incidents", type=Path, metavar="DIRECTORY", help="write the incident of each fault as FAULT.json"
    )
    options = parser.parse_args(words)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    begun = time.monotonic()
    try:
        trials, all_seen = _first_act(console, options.picture)
        trials += _second_act(console)
    except LabError as fault:
        console.print(f"[bold red]demo:[/] {fault}", markup=True)
        return 1
    if options.incidents is not None:
        write_incidents(options.incidents, trials)
    held = _conclude(console, trials, time.monotonic() - begun)
    if not all_seen:
        console.print("[bold red]demo:[/] a panel was unexpectedly empty, or a rule was not evaluated")
    return 0 if held and all_seen else 1


def _first_act(console: Console, picture: Path | None) -> tuple[list[Trial], bool]:
    """Kill and hang Apache, mirror the files, and query everything that Grafana would show."""
    console.rule("two hosts, a gateway and a client; Apache on a, its files mirrored to b")
    with Lab() as lab, MirroredLocum(lab, say=_dimly(console)) as locum:
        since = time.time()
        locum.wait_holder()
        locum.write("a", FILES)
        locum.command("mirror", "www", "--mark")
        _mirror(console, locum)
        trials = [_suffered(console, lab, locum, name) for name in ACTS[0]]
        _mirror(console, locum)
        console.rule("what Grafana would show: every panel and every rule, queried from Prometheus")
        all_seen, tables = ask(locum, since, picture=picture)
        console.print(tables, markup=False, end="")
    return trials, all_seen


def _second_act(console: Console) -> list[Trial]:
    console.rule("two hosts, a gateway and a client; Apache on a")
    with Lab() as lab, Locum(lab, say=_dimly(console)) as locum:
        return [_suffered(console, lab, locum, name) for name in ACTS[1]]


def _suffered(console: Console, lab: Lab, locum: Locum, name: str) -> Trial:
    """Inject a fault on a, and draw its course."""
    fault = FAULTS[name]
    console.rule(f"Apache on a is {name}" if name != "crashed" else "a loses its power")
    done = trial(lab, locum, fault)
    draw(console, moments(done, locum), f"{fault.name}: {fault.promise}")
    seconds = done.seconds_without_service
    duration = "it did not come back" if seconds is None else f"{seconds:.2f}"
    console.print(f"[bold]seconds without service: {duration}[/]")
    return done


def write_incidents(directory: Path, trials: Sequence[Trial]) -> None:
    """Write the journal's incident of each fault, for `python -m tools.incident_diagram`."""
    directory.mkdir(parents=True, exist_ok=True)
    for one in trials:
        text = json.dumps(one.incident, indent=1, ensure_ascii=False)
        (directory / f"{one.fault.name}.json").write_text(f"{text}\n", encoding="utf-8")


def _mirror(console: Console, locum: Locum) -> None:
    """Mirror the files; if locum has already begun a run for a returned host, wait for that first."""
    deadline = time.monotonic() + MIRROR_SECONDS
    done = locum.command("mirror", "www", check=False)
    while "another run of www is active" in done.stderr and time.monotonic() < deadline:
        time.sleep(0.5)
        done = locum.command("mirror", "www", check=False)
    if done.returncode != 0:
        raise LabError(f"locum mirror www ended with {done.returncode}: {done.stderr}")
    console.print(f"  locum mirror www: {done.stdout.strip()}", style="dim", markup=False)


def _dimly(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(f"  {line}", style="dim", markup=False)


def _conclude(console: Console, trials: list[Trial], seconds: float) -> bool:
    table = Table(title="What the client received", title_justify="left", title_style="bold")
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
    return not any(one.faults() for one in trials)


if __name__ == "__main__":
    sys.exit(main())

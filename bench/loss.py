"""Frames lost on the holder's wire: are holders replaced although no host died? `python -m bench.loss`.

Every system gets a lab of its own for each share, in which the holder's wire loses that share of its frames each
way. Prints a table, writes bench/results/loss.json and the table in docs/trust.md; exit 1 if locum took a holder
over or let two hosts hold the address.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console

from bench.campaign import invariants, report
from bench.campaign.cards import Cards, gaps
from bench.campaign.invariants import Observation
from bench.campaign.keepalived_system import KeepalivedSystem
from lab.lab import Lab
from lab.locum import Locum

RESULTS = Path(__file__).parent / "results" / "loss.json"
PAGE = Path(__file__).parent.parent / "docs" / "trust.md"
NOTHING = "nothing"  # what the loss alone does to the client
LOCUM: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "locum probe": {"when_unreachable": "takeover"},
        "locum three": {"when_unreachable": "refuse", "watchers": ("c",)},
        "locum fence-two": {"when_unreachable": "refuse", "fence": True},
    }
)
KEEPALIVED = MappingProxyType({"keepalived documented": "documented", "keepalived tuned": "tuned"})
SYSTEMS = (*LOCUM, *KEEPALIVED, NOTHING)
SHARES = (30, 60)
MINUTES = 10.0
HEADING = (
    "", "lost each way", "minutes", "takeovers", "held by two, s", "refusals", "requests answered",
    "without service, s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Course:
    """What came of one system behind one share of loss. Times are seconds."""

    system: str
    percent: int
    seconds: float
    takeovers: int
    held_by_two_seconds: float
    refusals: int | None  # None: it has no words for that
    requests: int
    answered: int
    seconds_without_service: float
    observer_gap_seconds: float
    story: list[str] = field(default_factory=list)  # what locum did, where it should have done nothing

    def faults(self) -> list[str]:
        """Return what must never be, in words."""
        found = [f"{self.takeovers} takeovers of a holder that lived"] if self.takeovers else []
        if self.held_by_two_seconds:
            found.append(f"held by two hosts for {self.held_by_two_seconds:.2f} s")
        return found


def main() -> int:
    """Run the requested systems."""
    asked = _arguments()
    console = Console(highlight=False, soft_wrap=True)
    wanted = [(name, percent) for name in asked.system or SYSTEMS for percent in asked.percent or SHARES]
    courses = load(asked.output)
    well = True
    with ProcessPoolExecutor(asked.labs, mp_context=multiprocessing.get_context("spawn")) as pool:
        doing = [pool.submit(course, name, percent, asked.minutes * 60) for name, percent in wanted]
        for done in as_completed(doing):
            one = done.result()
            faults = "; ".join(one.faults())
            well = well and not (faults and one.system.startswith("locum"))
            console.print(f"{one.system}, {one.percent} %: {faults or 'no takeover'}", markup=False)
            console.print("\n".join(one.story), markup=False)
            courses[f"{one.system} {one.percent}"] = one
            save(asked.output, courses)
    table = report.markdown(rows(list(courses.values())))
    console.print(table, markup=False)
    if asked.output == RESULTS:
        report.fill(PAGE, "loss", table)
    return 0 if well else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.loss", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for each system and share")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="may be repeated")
    parser.add_argument("--percent", action="append", type=int, help="lost each way; may be repeated")
    parser.add_argument("--labs", type=int, default=1, help="labs side by side (default 1)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


def course(name: str, percent: int, seconds: float) -> Course:
    """Run one system behind one share of loss, in a lab of its own."""
    if name in LOCUM:
        hosts = ("a", "b", *LOCUM[name].get("watchers", ()))
        with Lab(hosts=hosts) as lab, Locum(lab, **LOCUM[name]) as locum:
            lab.client.wait_good()
            return locum_course(locum, name, percent, seconds)
    with Lab(holder="a" if name == NOTHING else None) as lab:
        if name in KEEPALIVED:
            KeepalivedSystem(lab, KEEPALIVED[name]).start(frozenset())
        lab.client.wait_good()
        return endure(lab, name, percent, seconds)


def locum_course(locum: Locum, name: str, percent: int, seconds: float) -> Course:
    """Run locum behind loss, and count what its journal calls a refusal."""
    begun = time.time()
    seen = endure(locum.lab, name, percent, seconds)
    events = [event for row in locum.incidents() for event in row["events"] if event["at"] >= begun]
    refused = [event for event in events if event["kind"] == "refused" or event["text"].startswith("refuse:")]
    story = [f"{event['at'] - begun:.2f} {event['kind']}: {event['text']}" for event in events]
    return replace(seen, refusals=len(refused), story=story if seen.faults() else [])


def endure(lab: Lab, name: str, percent: int, seconds: float) -> Course:
    """Drop frames on a's wire for this long, and return the observers' record."""
    cards = Cards(lab)
    try:
        began = lab.loss("a", percent / 100)
        time.sleep(seconds)
        looks, samples = cards.looks(began), lab.client.samples(began)
    finally:
        cards.close()
        lab.heal("a")
    seen = Observation(began, time.time(), time.time(), [], looks, samples)
    watched = [gap.seconds for gap in lab.watcher.gaps(began)] + gaps(looks)
    return Course(
        system=name,
        percent=percent,
        seconds=round(seconds, 1),
        takeovers=len(invariants.takings(seen)),
        held_by_two_seconds=round(invariants.held(seen).by_two, 3),
        refusals=None,
        requests=len(samples),
        answered=sum(one.ok for one in samples),
        seconds_without_service=round(invariants.seconds_without_service(samples), 1),
        observer_gap_seconds=round(sum(watched), 2),
    )


def rows(courses: Sequence[Course]) -> list[Sequence[str]]:
    """Return the table, locum first."""
    order = {name: number for number, name in enumerate(["locum", "keepalived", NOTHING])}
    table: list[Sequence[str]] = [HEADING]
    for one in sorted(courses, key=lambda one: (order[one.system.split()[0]], one.system, one.percent)):
        table.append(
            [
                one.system, f"{one.percent} %", f"{one.seconds / 60:.1f}", str(one.takeovers),
                f"{one.held_by_two_seconds:.1f}", "" if one.refusals is None else str(one.refusals),
                f"{one.answered / one.requests:.0%}" if one.requests else "none were made",
                f"{one.seconds_without_service:.0f}",
            ]
        )  # fmt: skip
    return table


def load(path: Path) -> dict[str, Course]:
    """Return the courses there are, by system and percentage; none where there is no file yet."""
    if not path.exists():
        return {}
    return {
        f"{row['system']} {row['percent']}": Course(**row) for row in json.loads(path.read_text())["courses"]
    }


def save(path: Path, courses: dict[str, Course]) -> None:
    """Write them, with the revision that was measured last."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PAGE.parent, capture_output=True, text=True, check=False
    ).stdout.strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {"revision": revision, "courses": [asdict(one) for one in courses.values()]}
    path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

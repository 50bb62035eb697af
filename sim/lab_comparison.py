"""Run the same schedules in the simulator and in the lab, and compare what locum decided and did.

Schedules are drawn from a seed: one to three faults that both can bring upon the hosts a and b, while locum runs on
b and c is a vantage point (the profile `three` of the campaign in the lab). Compared are the outcomes of the
incidents that acted, the order of their steps with their results, the host that serves at the end, and the seconds
without service.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from bench.campaign import report, revision
from sim.course import Course, Drawn
from sim.in_lab import in_lab
from sim.in_simulator import in_simulator
from sim.mutants import PAGE, RESULTS

FACTOR = 2.0  # that the seconds without service may differ by …
MARGIN_SECONDS = 1.0  # … in addition to this
LATEST_SECONDS = 4.0  # when the last fault begins at the latest
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 6.0
KINDS = ("kill", "hang", "crash", "freeze", "freeze_processes", "cut", "slow_start", "start_fails")
START_KINDS = frozenset({"slow_start", "start_fails"})  # these show only with another fault
MOST_FAULTS = 3


def draw(seed: int, number: int) -> tuple[Drawn, ...]:
    """Draw a schedule: its first fault is one of the holder, and no two faults of a host are there at once."""
    chance = random.Random(f"locum lab comparison {seed}/{number}")
    count = chance.randint(1, MOST_FAULTS)
    faults: list[Drawn] = []
    while len(faults) < count:
        kinds = [kind for kind in KINDS if faults or kind not in START_KINDS]
        begins = chance.uniform(0.0, LATEST_SECONDS)
        seconds = SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** chance.random()
        host = chance.choice("ab") if faults else "a"
        one = Drawn(chance.choice(kinds), host, round(begins, 2), round(begins + seconds, 2))
        if not any(_clash(one, other) for other in faults):
            faults.append(one)
    return tuple(sorted(faults, key=lambda fault: fault.begins))


def _clash(one: Drawn, other: Drawn) -> bool:
    return one.host == other.host and one.begins < other.heals + 1.0 and other.begins < one.heals + 1.0


def differences(simulated: Course, there: Course) -> list[str]:
    """Return in words in what the two differ; empty if they agree."""
    found = []
    if simulated.incidents != there.incidents:
        found.append(f"steps: simulated {_words(simulated)}; lab {_words(there)}")
    if simulated.served_by != there.served_by:
        found.append(f"served at the end by {simulated.served_by}; lab {there.served_by}")
    less, more = sorted((simulated.seconds_without_service, there.seconds_without_service))
    if more > less * FACTOR + MARGIN_SECONDS:
        seconds = f"{simulated.seconds_without_service:.1f} s; lab {there.seconds_without_service:.1f} s"
        found.append(f"without service: simulated {seconds}")
    return found


def _words(course: Course) -> str:
    return ", then ".join(str(incident) for incident in course.incidents) or "nothing"


def rows(results: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return the table: a heading, then a row for each schedule."""
    table = [
        ["faults", "what locum did in both", "without service, simulated, s", "in the lab, s", "differs in"]
    ]
    for one in results:
        simulated, there = Course.of_json(one["simulated"]), Course.of_json(one["lab"])
        same = _words(simulated) if simulated.incidents == there.incidents else "not the same"
        table.append(
            [
                "; ".join(str(Drawn(**fault)) for fault in one["faults"]), same,
                f"{simulated.seconds_without_service:.1f}", f"{there.seconds_without_service:.1f}",
                "; ".join(differences(simulated, there)),
            ]
        )  # fmt: skip
    return table


def _add(seed: int, number: int, faults: Sequence[Drawn], courses: Mapping[str, Course]) -> None:
    """Put one schedule to the results of its seed and revision; others are replaced."""
    with report.kept(RESULTS) as results:
        head = {
            "seed": seed,
            "factor": FACTOR,
            "margin_seconds": MARGIN_SECONDS,
            "revision": revision.of_locum(),
        }
        before = results.get("lab", {})
        is_same = {**before, "schedules": None} == {**head, "schedules": None}
        kept = before["schedules"] if is_same else []
        one = {"number": number, "faults": [asdict(fault) for fault in faults]}
        one |= {name: course.as_json() for name, course in courses.items()}
        schedules = sorted(
            [*(row for row in kept if row["number"] != number), one], key=lambda row: row["number"]
        )
        results["lab"] = {**head, "schedules": schedules}


def main() -> int:
    """Run what was asked for; return 1 if a schedule went another way in the lab."""
    parser = argparse.ArgumentParser(
        prog="python -m sim.lab_comparison",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="[default: drawn, and printed]")
    parser.add_argument("--first", type=int, default=0, help="the number of the first schedule")
    parser.add_argument("--schedules", type=int, default=50)
    parser.add_argument("--simulator-only", action="store_true", help="print its courses, and run no lab")
    parser.add_argument("--write", action="store_true", help="write the results and the page")
    asked = parser.parse_args()
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    console, wrong = Console(highlight=False, soft_wrap=True), 0
    console.print(f"seed {seed}")
    for number in range(asked.first, asked.first + asked.schedules):
        faults = draw(seed, number)
        simulated = in_simulator(faults)
        console.print(f"{number}: {'; '.join(map(str, faults))}\n  {_words(simulated)}", markup=False)
        if asked.simulator_only:
            continue
        there = in_lab(faults)
        found = differences(simulated, there)
        wrong += bool(found)
        console.print("  " + ("; ".join(found) or "the same in the lab"), markup=False)
        if asked.write:
            _add(seed, number, faults, {"simulated": simulated, "lab": there})
    if asked.write:
        report.fill(PAGE, "lab", report.markdown(rows(report.load(RESULTS)["lab"]["schedules"])))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Faults drawn by a seed, brought upon locum or its peers in the lab: `make campaign`.

Writes bench/results/campaign.json, adding to what is there of other seeds, and the tables of docs/trust.md. Exit 1
if something was that must never be; its scenario is printed, and `--replay SEED/NUMBER` runs it again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from bench.campaign import report
from bench.campaign.schedule import Scenario, scenario, scenarios
from bench.campaign.side_by_side import run_all
from bench.campaign.systems import CANDIDATES, Candidate
from bench.campaign.trial import Result

RESULTS = Path(__file__).parent.parent / "results" / "campaign.json"
PAGE = Path(__file__).parent.parent.parent / "docs" / "trust.md"
DEFAULT_SEED = 1


def main() -> int:
    """Run what was asked for."""
    asked = _arguments()
    console = Console(highlight=False, soft_wrap=True)
    wanted = _wanted(asked)
    well = True
    for name in asked.profile or ["refuse"]:
        candidate = CANDIDATES[name]
        console.print(
            f"{candidate.name}: {sum(len(one.faults) for one in wanted)} faults, {len(wanted)} scenarios"
        )
        results = []
        for one in run_all(name, wanted, asked.labs, asked.keep):
            if isinstance(one, str):
                well = False
                console.print(one)
                continue
            results.append(one)
            well &= _tell(console, one, candidate, story=asked.replay is not None)
            if asked.output is not None:
                _save(asked.output, candidate, one)
    if asked.output is not None:
        _show(console, asked.output, page=asked.output == RESULTS)
    return 0 if well else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=200, help="how many faults at least (default 200)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--labs", type=int, default=1, help="labs side by side (default 1)")
    parser.add_argument(
        "--profile", action="append", choices=list(CANDIDATES), help="may be repeated (default refuse)"
    )
    parser.add_argument("--replay", metavar="SEED/NUMBER", help="only this scenario; writes no results")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument(
        "--keep", type=Path, help="a directory for journals and logs of scenarios that went wrong"
    )
    asked = parser.parse_args()
    if asked.replay is not None:
        asked.output = None
    return asked


def _wanted(asked: argparse.Namespace) -> list[Scenario]:
    if asked.replay is None:
        return list(scenarios(asked.seed, asked.faults))
    seed, _, number = asked.replay.partition("/")
    return [scenario(int(seed), int(number))]


def _tell(console: Console, one: Result, candidate: Candidate, *, story: bool) -> bool:
    """Print a line, and the whole story where something was wrong; return whether all was as it must be."""
    wrong = {name: count for name, count in one.violations().items() if count}
    wrong = {what: count for what, count in wrong.items() if what not in candidate.excused}
    held = one.held
    said = [
        f"{one.scenario}: {one.faults} faults, {one.seconds_without_service:.1f} s without service",
        f"held by two {held.by_two:.2f} s, while cut off {held.while_cut_off:.2f} s",
        f"returning {held.returning:.2f} s, {one.takeovers} takeovers",
        *([one.refusal] if one.refusal else []),
        *([f"WRONG: {wrong}"] if wrong else []),
    ]
    console.print(", ".join(said), markup=False)
    if story or (wrong and candidate.must_hold):
        console.print(
            "\n".join([*one.story, *one.lost_alerts, *one.unfinished, one.left_down or ""]), markup=False
        )
    return not (wrong and candidate.must_hold)


def _save(path: Path, candidate: Candidate, one: Result) -> None:
    results = report.load(path)
    report.add(results, candidate.name, [one])
    report.save(path, results)


def _show(console: Console, path: Path, *, page: bool) -> None:
    results = report.load(path)
    promises = [one.name for one in CANDIDATES.values() if one.must_hold and not one.excused]
    others = [one.name for one in CANDIDATES.values() if one.name not in promises]
    promised = report.markdown(report.rows(results, promises))
    beside = report.markdown(report.rows(results, others))
    console.print(f"{promised}\n\n{beside}", markup=False)
    if page and PAGE.exists():
        report.fill(PAGE, "locum", promised)
        report.fill(PAGE, "beside", beside)


if __name__ == "__main__":
    sys.exit(main())

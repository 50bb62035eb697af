"""Inject random faults, drawn from a seed, on locum or similar programs in the lab: `make campaign`.

Writes bench/results/campaign.json, adding to its results of this revision, and the tables of docs/trust.md. Exit 1
if an invariant was violated; the scenario is printed, and `--replay SEED/NUMBER` runs it again.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from pathlib import Path

from rich.console import Console

from bench.campaign import report
from bench.campaign.schedule import scenario, scenarios
from bench.campaign.side_by_side import Job, run_all
from bench.campaign.systems import CANDIDATES, Candidate
from bench.campaign.trial import Result

RESULTS = Path(__file__).parent.parent / "results" / "campaign.json"
PAGE = Path(__file__).parent.parent.parent / "docs" / "trust.md"
NEW_SEEDS = 20


def main() -> int:
    """Run the requested scenarios."""
    asked = _arguments()
    console = Console(highlight=False, soft_wrap=True)
    well = True
    begun, jobs = time.monotonic(), _jobs(asked)
    if asked.replay is None:
        console.print(f"seeds: {' '.join(f'--seed {seed}' for seed in asked.seed)}", markup=False)
    counts = ", ".join(
        f"{len([job for job in jobs if job.system == name])} of {name}" for name in asked.profile
    )
    console.print(f"{sum(len(job.scenario.faults) for job in jobs)} faults; scenarios: {counts}")
    left = {job.name for job in jobs}
    for job, one in run_all(jobs, asked.labs, asked.keep):
        candidate = CANDIDATES[job.system]
        if isinstance(one, str):
            console.print(f"{job.name} {one}", markup=False)
            continue
        left.remove(job.name)
        console.print(f"[{_progress(len(jobs), len(left), begun)}] {candidate.name} ", end="", markup=False)
        well &= _tell(console, one, candidate, story=asked.replay is not None)
        if asked.output is not None:
            _save(asked.output, candidate, one)
    well &= not left
    if asked.output is not None:
        _show(console, asked.output, page=asked.output == RESULTS)
    return 0 if well else 1


def _progress(jobs: int, left: int, begun: float) -> str:
    seconds = (time.monotonic() - begun) / (jobs - left) * left
    return f"{jobs - left}/{jobs}, {seconds / 60:.0f} min left"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--faults", type=int, default=10, help="how many for each seed and profile, at least (default 10)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        action="append",
        help="may be repeated; without any, new seeds are drawn and printed",
    )
    parser.add_argument(
        "--seeds", type=int, default=NEW_SEEDS, help=f"how many new seeds to draw (default {NEW_SEEDS})"
    )
    parser.add_argument("--labs", type=int, default=1, help="labs side by side (default 1)")
    parser.add_argument(
        "--profile", action="append", choices=list(CANDIDATES), help="may be repeated (default refuse)"
    )
    parser.add_argument("--replay", metavar="SEED/NUMBER", help="only this scenario; writes no results")
    parser.add_argument(
        "--resume", action="store_true", help="leave out what the output has of this revision"
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument(
        "--keep", type=Path, help="a directory for journals and logs of scenarios that went wrong"
    )
    asked = parser.parse_args()
    asked.profile = asked.profile or ["refuse"]
    # A used seed is spent: its findings have been repaired, so it finds nothing more.
    asked.seed = asked.seed or [secrets.randbelow(10**6) for _ in range(asked.seeds)]
    if asked.replay is not None:
        asked.output = None
    return asked


def _jobs(asked: argparse.Namespace) -> list[Job]:
    if asked.replay is not None:
        seed, _, number = asked.replay.partition("/")
        return [Job(name, scenario(int(seed), int(number))) for name in asked.profile]
    drawn = [one for seed in asked.seed for one in scenarios(seed, asked.faults)]
    there = _there(asked) if asked.resume else {}
    # The same scenario for all systems, then the next: an interrupted run has results of each.
    return [
        Job(name, one)
        for one in drawn
        for name in asked.profile
        if one.name not in there.get(name, frozenset())
    ]


def _there(asked: argparse.Namespace) -> dict[str, frozenset[str]]:
    """Return the existing results of each profile for the same revision."""
    results = report.load(asked.output)
    candidates = {name: CANDIDATES[name] for name in asked.profile}
    return {name: report.done(results, one.name, one.revision()) for name, one in candidates.items()}


def _tell(console: Console, one: Result, candidate: Candidate, *, story: bool) -> bool:
    """Print a line, and the whole course if an invariant was violated; return whether none was."""
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
    with report.kept(path) as results:
        report.add(results, candidate.name, candidate.revision(), [one])


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

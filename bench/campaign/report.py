"""The results: added up for each system, kept as JSON, shown as tables."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.campaign.trial import Result

MARK = "<!-- campaign: {} -->"
Scenarios = Mapping[str, Mapping[str, Any]]  # by the scenario's name


def load(path: Path) -> dict[str, Any]:
    """Return the results there are; none where there is no file yet."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def add(results: dict[str, Any], system: str, revision: str, run: Iterable[Result]) -> None:
    """Put scenarios to those of a system that are of the same revision; one that was run before is replaced."""
    before: Scenarios = results.get(system, {}).get("scenarios", {})
    scenarios = {name: row for name, row in before.items() if row.get("revision") == revision}
    scenarios.update({one.scenario: _plain(one, revision) for one in run})
    results[system] = total(scenarios)


def done(results: Mapping[str, Any], system: str, revision: str) -> frozenset[str]:
    """Return the scenarios that a system of that revision was put through already, by name."""
    scenarios: Scenarios = results.get(system, {}).get("scenarios", {})
    return frozenset(name for name, row in scenarios.items() if row.get("revision") == revision)


def _plain(one: Result, revision: str) -> dict[str, Any]:
    held = one.held
    return {
        "revision": revision,
        "faults": one.faults,
        "violations": one.violations(),
        "held_by_two_seconds": round(held.by_two, 3),
        "held_while_cut_off_seconds": round(held.while_cut_off, 3),
        "returning_seconds": round(held.returning, 3),
        "seconds_without_service": round(one.seconds_without_service, 3),
        "takeovers": one.takeovers,
        "refused_at_end": one.refusal if one.left_down is None else None,
        "observer_gap_seconds": round(one.gap_seconds, 3),
        "observer_longest_gap_seconds": round(one.longest_gap_seconds, 3),
        "unheard_packets": one.unheard_packets,
    }


def total(scenarios: Scenarios) -> dict[str, Any]:
    """Add up the scenarios of one system."""
    rows = [scenarios[name] for name in sorted(scenarios, key=_number)]
    seeds = sorted({_number(name)[0] for name in scenarios})
    revisions = sorted({row["revision"] for row in rows})
    names = ("held_by_two", "healthy_taken", "alert_lost", "left_down")
    sums = (
        "held_by_two_seconds", "held_while_cut_off_seconds", "returning_seconds", "seconds_without_service",
        "observer_gap_seconds",
    )  # fmt: skip
    return {
        "faults": sum(row["faults"] for row in rows),
        "seed": seeds[0] if len(seeds) == 1 else seeds,
        "revision": revisions[0] if len(revisions) == 1 else revisions,
        "violations": {name: sum(row["violations"][name] for row in rows) for name in names},
        **{name: round(sum(row[name] for row in rows), 2) for name in sums},
        "observer_longest_gap_seconds": max(
            (row["observer_longest_gap_seconds"] for row in rows), default=0.0
        ),
        "longest_return_seconds": max((row["returning_seconds"] for row in rows), default=0.0),
        "takeovers": sum(row["takeovers"] for row in rows),
        "refused_at_end": sum(row["refused_at_end"] is not None for row in rows),
        "scenarios": {name: scenarios[name] for name in sorted(scenarios, key=_number)},
    }


def _number(name: str) -> tuple[int, int]:
    seed, _, number = name.partition("/")
    return int(seed), int(number)


@contextmanager
def kept(path: Path) -> Iterator[dict[str, Any]]:
    """Give the results there are, and write them when done with. Two campaigns that add to them take turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = load(path)
        yield results
        new = path.with_suffix(".new")
        new.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        new.replace(path)  # an interrupted run keeps the old results


def rows(results: Mapping[str, Any], systems: Sequence[str]) -> list[list[str]]:
    """Return the table of these systems: a heading, then a row for each that was run."""
    table = [
        ["", "faults", "scenarios", "held by two, s", "while cut off, s", "returning, longest, s", "healthy taken",
         "alerts lost", "left down", "without service, s", "takeovers"]
    ]  # fmt: skip
    for system in systems:
        if system not in results:
            continue
        one = results[system]
        wrong = one["violations"]
        table.append(
            [
                system, str(one["faults"]), str(len(one["scenarios"])), f"{one['held_by_two_seconds']:.1f}",
                f"{one['held_while_cut_off_seconds']:.1f}", f"{one['longest_return_seconds']:.2f}",
                str(wrong["healthy_taken"]), str(wrong["alert_lost"]), str(wrong["left_down"]),
                f"{one['seconds_without_service']:.0f}", str(one["takeovers"]),
            ]
        )  # fmt: skip
    return table


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown; a table without rows says that nothing was run."""
    head, *body = table
    if not body:
        return "Not run yet."
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in body)])


def fill(path: Path, name: str, text: str) -> None:
    """Put a table into a page, between the marks of its name."""
    page = path.read_text(encoding="utf-8")
    begin, end = MARK.format(name), MARK.format(f"end of {name}")
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(page):
        raise ValueError(f"{path} has no place for {name}: put {begin} and {end} there")
    path.write_text(found.sub(lambda _: f"{begin}\n{text}\n{end}", page), encoding="utf-8")

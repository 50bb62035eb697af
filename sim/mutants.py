"""Take guards and repairs out of the shipped code, one at a time, and count the faults until a promise breaks.

Guards are chosen at random by a seed; repairs are those of docs/trust.md whose code runs in the simulator. For each
one a new process changes the code in memory (sim/mutation.py) and runs scenarios of drawn seeds. With `--write` the
results go to bench/results/simulator.json and into the tables of docs/simulator.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.campaign import report, revision
from sim.mutation import NAMED_BY, Edit, Guard, Seen, guards, install
from sim.repairs import REPAIRS

FAULTS_EACH = 20  # in a scenario
SCENARIO_SECONDS = 300.0  # of real time, after which a scenario counts as one that never ends
CHECKOUT = Path(__file__).parent.parent
RESULTS = CHECKOUT / "bench" / "results" / "simulator.json"
PAGE = CHECKOUT / "docs" / "simulator.md"
TESTS = Path("tests/actuator")
TESTS_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one that was taken out."""

    name: str
    row: str = ""  # of docs/trust.md, where it is a repair
    faults: int = 0  # that were brought
    broken: str | None = None  # the promise, in words
    seed: int | None = None  # of the scenario
    evaluated: int = 0
    true: int = 0
    test: str | None = None  # that fails without it
    unseen: str = ""  # why the simulator cannot find it

    @property
    def why_not(self) -> str:
        """Return why the simulator did not find it."""
        if self.row:
            return self.unseen or "no promise broke"
        if not self.evaluated:
            return "its code never ran"
        if not self.true:
            return "its condition was never true"
        return f"its condition was true {self.true} times, and no promise broke"


@dataclass(frozen=True, slots=True)
class Draws:
    """The scenarios that are drawn: from which seed on, how many faults at most, of which profile and kinds."""

    first_seed: int
    most_faults: int
    profile: str | None = None  # None: drawn
    kinds: Sequence[str] = ()  # none: all
    replay: Path | None = None  # this schedule instead of drawn ones


def search(name: str, what: Guard | Sequence[Edit], draws: Draws, row: str = "") -> Found:
    """Run scenarios without it in a new process until a promise breaks, or until so many faults were brought.

    A scenario that breaks a promise of the whole code too does not count.
    """
    found, seed = Found(name, row), draws.first_seed
    while found.broken is None and found.faults < draws.most_faults:
        left = draws.most_faults - found.faults
        one = _in_new_process(what, replace(draws, first_seed=seed, most_faults=left))
        seed = one["seed"] + 1
        found = Found(name, row, **{**one, "faults": found.faults + one["faults"]})
        again = replace(draws, first_seed=one["seed"], most_faults=1)
        if found.broken is not None and _in_new_process((), again)["broken"] is not None:
            found = replace(found, broken=None)
    return found


def _in_new_process(what: Guard | Sequence[Edit], draws: Draws) -> dict[str, Any]:
    """Run scenarios there; return what `_run_scenarios` sends last."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_run_scenarios, args=(there, what, draws))
    process.start()
    there.close()
    last: dict[str, Any] = {"faults": 0, "seed": draws.first_seed, "broken": None}
    try:
        while here.poll(SCENARIO_SECONDS):
            last = here.recv()
    except EOFError:
        process.join()
        return {**last, "broken": "a scenario ended with an error"} if process.exitcode else last
    else:
        return {**last, "broken": f"a scenario did not end within {SCENARIO_SECONDS:g} s"}
    finally:
        process.kill()
        process.join()


def _run_scenarios(said: Connection, what: Guard | Sequence[Edit], draws: Draws) -> None:
    seen = install(what)
    from sim.scenario import run  # noqa: PLC0415 - imports the code that was just changed
    from sim.schedule import Schedule, drawn  # noqa: PLC0415

    broken: str | None = None
    brought, seed = 0, draws.first_seed
    while brought < draws.most_faults and broken is None:
        _report(said, seen, brought + FAULTS_EACH, seed, None)
        replay = draws.replay
        schedule = drawn(seed, FAULTS_EACH, draws.profile) if replay is None else Schedule.read(replay)
        if draws.kinds:
            chance = random.Random(seed)
            of_kinds = (replace(fault, kind=chance.choice(draws.kinds)) for fault in schedule.faults)
            schedule = replace(schedule, faults=tuple(of_kinds))
        broken = run(schedule).broken
        brought, seed = brought + FAULTS_EACH, seed + 1
    _report(said, seen, brought, seed - 1, broken)
    said.close()


def _report(said: Connection, seen: Seen, faults: int, seed: int, broken: str | None) -> None:
    counts = {"evaluated": seen.evaluated, "true": seen.true}
    said.send({"faults": faults, "seed": seed, "broken": broken, **counts})


def covering_test(named: str, modules: Iterable[str]) -> str | None:
    """Return the first test that fails while a guard or a repair is taken out; None if none does.

    Tests of a module's own name come first, then all in the folder of its package.
    """
    environment = {**os.environ, NAMED_BY: named}
    for paths in _tests_of(modules):
        words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "sim.taken_out", "-m", "not e2e and not timed"]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *words, *paths],
                cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=TESTS_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            continue
        failed = re.search(r"^(?:FAILED|ERROR) (\S+?)(?:\[| |$)", done.stdout, re.MULTILINE)
        if failed is not None:
            return failed.group(1)
    return None


def _tests_of(modules: Iterable[str]) -> Iterator[list[str]]:
    """Yield the paths of tests to try, one group after the other."""
    for module in modules:
        name = module.split(".")[-1]
        if own := sorted(map(str, (CHECKOUT / TESTS).rglob(f"test_{name}*.py"))):
            yield own
    yield sorted({str(TESTS / module.split(".")[1]) for module in modules})


def _of_guards(asked: argparse.Namespace) -> Iterable[Found]:
    """Yield what becomes of guards that a seed chooses."""
    there = list(guards())
    chosen = random.Random(asked.seed).sample(there, asked.guards)
    for guard in sorted(chosen, key=there.index):
        found = search(str(guard), guard, Draws(asked.seed, asked.faults))
        if found.broken is None and asked.tests:
            found = replace(found, test=covering_test(guard.place, [guard.module]))
        yield found


def _of_repairs(asked: argparse.Namespace) -> Iterable[Found]:
    """Yield what becomes of repairs, those of some rows or all."""
    for number, repair in enumerate(REPAIRS):
        if asked.row and repair.row not in asked.row:
            continue
        draws = Draws(asked.seed, asked.faults, repair.profile, repair.kinds)
        found = replace(search(repair.words, repair.edits, draws, repair.row), unseen=repair.unseen)
        if found.broken is None and asked.tests:
            found = replace(
                found, test=covering_test(str(number), sorted({edit.module for edit in repair.edits}))
            )
        yield found


def table(found: Iterable[dict[str, Any]]) -> list[list[str]]:
    """Return the rows of a table: a heading, then one for each."""
    rows = [["taken out", "faults until it was found", "what broke, or why it was not found", "test"]]
    names = {value.name for value in fields(Found)}
    for one in (Found(**{name: row[name] for name in names}) for row in found):
        name = f"{one.row}: {one.name}" if one.row else f"`{one.name}`"
        count = f"not in {one.faults}" if one.broken is None else str(one.faults)
        test = "" if one.test is None else f"`{one.test}`"
        rows.append([name.replace("|", "\\|"), count, one.broken or one.why_not, test])
    return rows


def _write(kind: str, one: Found, asked: argparse.Namespace) -> None:
    """Put one to the results of this revision and the page; one that was there before is replaced."""
    version = revision.of_locum()
    row = {**asdict(one), "first_seed": asked.seed, "most_faults": asked.faults, "revision": version}
    with report.kept(RESULTS) as results:
        kept = [old for old in results.get(kind, []) if old["revision"] == version]
        rows = [*(old for old in kept if old["name"] != one.name), row]
        results[kind] = sorted(rows, key=lambda old: (old["row"][:1], int(old["row"][1:] or 0), old["name"]))
        report.fill(PAGE, kind, report.markdown(table(results[kind])))


def _print_one(console: Console, one: Found) -> None:
    what = f"{one.row}: {one.name}" if one.row else one.name
    if one.broken is None:
        said = f"not found in {one.faults} faults: {one.why_not}" + (f"; {one.test}" if one.test else "")
    else:
        said = f"found after {one.faults} faults, seed {one.seed}: {one.broken}"
    console.print(f"{what}\n    {said}", markup=False)


def main() -> int:
    """Take out what was asked for; return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m sim.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--guards", type=int, default=20, help="how many guards to choose")
    parser.add_argument("--row", action="append", help="only the repairs of this row; may be repeated")
    parser.add_argument(
        "--seed", type=int, help="chooses the guards, and is the first scenario's [default: drawn]"
    )
    parser.add_argument("--faults", type=int, default=1000, help="at most, for each one")
    parser.add_argument("--tests", action="store_true", help="find the test that covers what was not found")
    parser.add_argument("--write", action="store_true", help="write the results and the page")
    asked = parser.parse_args()
    asked.seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"seed {asked.seed}, at most {asked.faults} faults each")
    for kind, all_of_them in (("guards", _of_guards(asked)), ("repairs", _of_repairs(asked))):
        for one in all_of_them:
            _print_one(console, one)
            if asked.write:
                _write(kind, one, asked)
    return 0


if __name__ == "__main__":
    sys.exit(main())

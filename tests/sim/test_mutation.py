"""A guard or a repair that is taken out is taken out in memory, and the simulator misses it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

from sim.faults import Fault
from sim.mutants import Draws, search
from sim.mutation import ACTUATOR, NAMED_BY, SEES, Edit, Guard, Seen, guards
from sim.repairs import CONFIRM, REPAIRS, Repair
from sim.schedule import Schedule

pytestmark = pytest.mark.simulation

ROOT = Path(__file__).parents[2]


def of_row(row: str) -> Sequence[Edit]:
    return next(repair.edits for repair in REPAIRS if repair.row == row)


def source(module: str) -> str:
    return ACTUATOR.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


def test_a_guard_is_evaluated_and_never_true() -> None:
    seen, text = (
        Seen(),
        "def f(é, x):\n    'é'; y = x\n    if x == 'é' and (\n        y\n    ):\n        return 1\n    return 2\n",
    )
    guard = Guard("m", "f", 3, 7, (5, 5), "")
    names: dict[str, object] = {SEES: seen}
    exec(guard.taken_out(text), names)
    assert callable(names["f"])
    assert [names["f"](1, x) for x in ("é", "e")] == [2, 2]
    assert (seen.evaluated, seen.true) == (2, 1)


def test_guards_are_branches_that_leave() -> None:
    there = list(guards())
    assert len(there) > 300
    assert len({guard.place for guard in there}) == len(there)
    conditions = {(guard.module, guard.function, guard.condition) for guard in there}
    assert ("locum_actuator.decision.vetoes", "_asked_first", "not situation.witnessed") in conditions
    assert not any(condition == "TYPE_CHECKING" for _, _, condition in conditions)


def test_every_guard_can_be_taken_out() -> None:
    for module, of_it in groupby(guards(), lambda guard: guard.module):
        text = source(module)
        for guard in of_it:
            ast.parse(guard.taken_out(text))


@pytest.mark.parametrize("repair", REPAIRS, ids=[f"{repair.row}: {repair.words}" for repair in REPAIRS])
def test_every_repair_can_be_taken_out(repair: Repair) -> None:
    for edit in repair.edits:
        compile(edit.apply(source(edit.module)), edit.module, "exec")


@pytest.mark.parametrize("old", ["there is no such text", "return"])
def test_an_edit_that_does_not_fit_is_an_error(old: str) -> None:
    with pytest.raises(ValueError, match="times, not once"):
        Edit("m", old, "").apply("return 1; return 2")


def test_a_test_fails_without_what_it_covers() -> None:
    """The plugin that `--tests` uses: it takes a guard out of the code that the tests import."""
    guard = next(
        guard
        for guard in guards()
        if guard.function == "_cooldown" and guard.condition.startswith("since is None")
    )
    words = [
        "-p",
        "sim.taken_out",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/actuator/decision/test_brakes.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT, env={**os.environ, NAMED_BY: guard.place}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "FAILED" in done.stdout


BEGIN = "        silent = self.context.silent_hosts or (None,)\n"
UNASKED = Edit(
    CONFIRM,
    BEGIN,
    f"{BEGIN}        self.context.evidence.found_free(runtime.since_boot())\n        return ''\n",
)
# What is taken out, the profile, and faults that break a promise without it.
MISSED: dict[str, tuple[Sequence[Edit], str, tuple[Fault, ...]]] = {
    "A1": (of_row("A1"), "refuse", (Fault("sever", "a", 5.0, 15.0),)),
    "B3": (
        of_row("B3"),
        "refuse",
        (Fault("prometheus_dead", "b", 5.0, 60.0), Fault("hang", "a", 10.0, 40.0)),
    ),
    "the last question before a claim": (
        (UNASKED,),
        "takeover",
        (Fault("slow_start", "b", 1.0, 60.0, amount=0.5), Fault("cut", "a", 10.0, 2.5)),
    ),
}


@pytest.mark.parametrize(("edits", "profile", "faults"), MISSED.values(), ids=MISSED)
def test_what_is_taken_out_is_missed(
    tmp_path: Path, edits: Sequence[Edit], profile: str, faults: tuple[Fault, ...]
) -> None:
    Schedule(3, profile, faults).write(tmp_path / "schedule.json")
    found = search("", edits, Draws(1, 1, replay=tmp_path / "schedule.json"))
    assert found.broken is not None

"""docs/why-not.md has a row for each code with which a plan is refused, held back or put off, and no other row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from locum_actuator.domain.situation import WRONG_ANSWERS

ROOT = Path(__file__).parents[1]
DECISION = ROOT / "actuator/locum_actuator/decision"
PAGE = (ROOT / "docs/why-not.md").read_text(encoding="utf-8")
HELD_BACK = {"refuse", "keep_looking", "record"}
# Where a plan's code is no constant: the function, and how its codes are found.
OF_MOVES = "planned_move"
WITHOUT_CONSTANT = {("brakes", "_recorded"), ("wrong_answers", "held_back"), (OF_MOVES, "_refuse")}


def _functions(name: str) -> Iterator[ast.FunctionDef]:
    tree = ast.parse((DECISION / f"{name}.py").read_text(encoding="utf-8"))
    return (node for node in tree.body if isinstance(node, ast.FunctionDef))


def _codes_of_plans(name: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the constant codes of a file's plans that do nothing, and the functions where a code is none."""
    codes, without = set[str](), set[tuple[str, str]]()
    for function in _functions(name):
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Name("Plan"), args=[ast.Constant(str(kind)), code, *_]):
                    if kind not in HELD_BACK:
                        continue
                    if isinstance(code, ast.Constant):
                        codes.add(str(code.value))
                    else:
                        without.add((name, function.name))
                case ast.Call(func=ast.Name("_recorded"), args=[_, ast.Constant(str(code)), *_]):
                    codes.add(code)
    return codes, without


def _strings(node: ast.AST) -> set[str]:
    return {
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def _codes_of_moves() -> set[str]:
    """Return the codes of planned_move.py: first of a pair with its reason, or chosen into `code`."""
    codes = set[str]()
    for function in _functions(OF_MOVES):
        for node in ast.walk(function):
            match node:
                case ast.Return(value=ast.Tuple(elts=[ast.Constant(str(code)), _])):
                    codes.add(code)
                case ast.Assign(targets=[ast.Name("code")], value=ast.IfExp(body=body, orelse=other)):
                    codes |= _strings(body) | _strings(other)
                case ast.Call(func=ast.Name("_refuse"), args=[ast.Constant(str(code)), _]):
                    codes.add(code)
    return codes


FILES = sorted(path.stem for path in DECISION.glob("*.py"))
FOUND = {name: _codes_of_plans(name) for name in FILES}
CODES = {
    "Faults": WRONG_ANSWERS.union(*(codes for name, (codes, _) in FOUND.items() if name != OF_MOVES)),
    "Planned moves": _codes_of_moves(),
}


def _rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = section.split("| code | what it means | what to do |\n")[1].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table if row.startswith("|")]


@pytest.mark.parametrize("heading", CODES)
def test_every_code_has_one_row_and_no_other_has(heading: str) -> None:
    assert [row[0] for row in _rows(heading)] == [f"`{code}`" for code in sorted(CODES[heading])]


@pytest.mark.parametrize("heading", CODES)
def test_every_row_says_what_a_code_means_and_what_to_do(heading: str) -> None:
    assert [
        row for row in _rows(heading) if len(row) != 3 or not all(cell.endswith(".") for cell in row[1:])
    ] == []


def test_every_code_that_is_no_constant_is_found_another_way() -> None:
    assert set().union(*(without for _, without in FOUND.values())) == WITHOUT_CONSTANT


def test_codes_that_mean_the_same_for_moves_have_a_row_above() -> None:
    (sentence,) = re.findall(r"These codes mean the same as above: (.*?)\.\n", PAGE, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", sentence))
    assert named
    assert named <= CODES["Faults"]

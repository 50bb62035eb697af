"""docs/trust.md has each kind of fault that strangers found, once, with a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KINDS = {"A": 13, "B": 14, "C": 6, "D": 6, "E": 8}  # how many there are of each letter
ROWS = [f"{letter}{number}" for letter, many in KINDS.items() for number in range(1, many + 1)]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
FOUND: list[tuple[str, str]] = re.findall(r"^\| ([A-F]\d*(?: \([a-z ]+\))?) \|(.*)\|$", PAGE, re.MULTILINE)
TABLE = dict(FOUND)
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
NAMES = set(re.findall(r"def (test_\w+)", TESTS))


def test_every_kind_has_a_row_and_they_are_in_order() -> None:
    assert [row for row, _ in FOUND if row[0] != "F"] == ROWS
    assert any(row[0] == "F" for row in TABLE)


@pytest.mark.parametrize("row", TABLE)
def test_every_row_names_tests_that_there_are(row: str) -> None:
    named = re.findall(r"`(test_[a-z0-9_]+?)(_?…)?`", TABLE[row])
    assert named
    for name, more in named:
        if more:
            assert any(one.startswith(f"{name}_") for one in NAMES), name
        elif f"{name}.py" not in TABLE[row]:
            assert name in NAMES, name


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_test_of_its_name(row: str) -> None:
    assert any(re.match(rf"test_([a-e]\d+_)*{row.lower()}_", name) for name in NAMES)


@pytest.mark.parametrize("row", TABLE)
def test_every_file_of_tests_that_a_row_names_is_there(row: str) -> None:
    files = {path.name for path in (ROOT / "tests").rglob("*.py")} | {
        path.name for path in (ROOT / "alert_rules" / "tests").glob("*.yml")
    }
    for name in re.findall(r"(\w+\.py)\b", TABLE[row]):
        assert name in files, name

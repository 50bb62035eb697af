"""A test with real programs that missed a deadline is tried once more; every other failure counts at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import conftest

TESTS = """\
import pytest
from lab.needs import LabError
from tests.conftest import pytest_collection_modifyitems

FAULTS = {
    "polled": AssertionError("not within 60 s: every incident closed; last seen: []"),
    "request": TimeoutError("no 3 good answers in a row within 15 s: 502"),
    "incident": LabError("no incident ended with 'takeover' within 60 s: []"),
    "up": LabError("locum did not come up:\\nnothing"),
    "outcome": AssertionError("assert 'claim' == 'nothing', no answer within 0.4 s"),
    "held": AssertionError("assert 0.4 == 0 where 0.4 = held_by_two_seconds(1.0)"),
    "held_late": AssertionError("not within 5 s: held_by_two_seconds is 0; last seen: 0.4"),
}
tried = {}


@pytest.mark.e2e
@pytest.mark.parametrize("name", FAULTS)
def test_fails_once(name):
    tried[name] = tried.get(name, 0) + 1
    if tried[name] == 1:
        raise FAULTS[name]


@pytest.mark.e2e
def test_fails_twice():
    raise FAULTS["polled"]


def test_needs_no_real_program():
    tried["unit"] = tried.get("unit", 0) + 1
    if tried["unit"] == 1:
        raise FAULTS["polled"]
"""
ROOT = Path(__file__).parents[1]


def test_only_missed_deadlines_are_tried_again(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_collection_modifyitems\n")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmarkers = e2e\npythonpath = {ROOT}\n")
    (tmp_path / "test_faults.py").write_text(TESTS)
    words = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-raR", str(tmp_path))
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    again = {line.split("::")[1] for line in lines if line.startswith("RERUN")}
    failed = {line.split("::")[1].split(" ")[0] for line in lines if line.startswith("FAILED")}
    assert again == {
        "test_fails_once[polled]",
        "test_fails_once[request]",
        "test_fails_once[incident]",
        "test_fails_once[up]",
        "test_fails_twice",
    }, done.stdout
    assert failed == {
        "test_fails_once[outcome]",
        "test_fails_once[held]",
        "test_fails_once[held_late]",
        "test_fails_twice",
        "test_needs_no_real_program",
    }, done.stdout


def test_what_the_tests_wait_with_says_so() -> None:
    """The words of the lab and of the tests' own waiting are those that count as a missed deadline."""
    sources = "".join(
        (ROOT / path).read_text() for path in ("tests/support/polling.py", "lab/client.py", "lab/locum.py")
    )
    for words in (
        'AssertionError(f"not within {seconds:g} s: ',
        "no {n} good answers in a row within {timeout:g} s: ",
        "no incident ended with '{outcome}' within {seconds:g} s: ",
        '"locum did not come up:',
    ):
        assert words in sources
    assert len(conftest.MISSED_DEADLINE) == 3

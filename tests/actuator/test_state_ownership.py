"""A state directory that another user's run left behind is named, with the command that gives it back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from locum_actuator.state_ownership import ownership_fault
from tests.marks import needs_root

ASK = """
import os, sys
from pathlib import Path
from locum_actuator.state_ownership import ownership_fault
os.setgid(65534); os.setuid(65534)
print(ownership_fault(Path(sys.argv[1])))
"""


def asked_as_nobody(directory: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", ASK, str(directory)], capture_output=True, text=True, check=True
    ).stdout.strip()


@needs_root
@pytest.mark.parametrize("owned_by_root", ["journal.sqlite", "prometheus", "log/actuator.log", "."])
def test_f_what_a_run_as_root_left_behind_is_named(shared_directory: Path, owned_by_root: str) -> None:
    state = shared_directory / "state"
    for name in ("log", "prometheus"):
        (state / name).mkdir(parents=True)
    for name in ("journal.sqlite", "log/actuator.log"):
        (state / name).write_text("")
    for path in (state, *state.rglob("*")):
        os.chown(path, 65534, 65534)
    assert asked_as_nobody(state) == "None"

    os.chown(state / owned_by_root, 0, 0)
    assert asked_as_nobody(state) == (
        f"{state / owned_by_root}: belongs to root and cannot be written by nobody, as which this runs: "
        f"give it back as root with: chown -R nobody: {state}"
    )


@needs_root
def test_f_a_state_directory_behind_a_closed_one_is_named(shared_directory: Path) -> None:
    shared_directory.chmod(0o700)
    state = shared_directory / "state"
    state.mkdir()
    assert (
        asked_as_nobody(state)
        == f"{state}: cannot be reached by nobody, as which this runs: Permission denied"
    )


def test_f_a_state_directory_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    assert ownership_fault(tmp_path / "state") is None

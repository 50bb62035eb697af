"""A state directory that another user's run left behind is named, with the command that gives it back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from locum_actuator.stack.prometheus import write_files
from locum_actuator.system.instance_lock import AlreadyRunningError, acquire_instance_lock
from locum_actuator.system.state_ownership import ownership_fault
from tests.support.marks import needs_root

ASK = """
import os, sys
from pathlib import Path
from locum_actuator.system.state_ownership import ownership_fault
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
        f"{state / owned_by_root}: belongs to root and cannot be written by nobody, the user running this: "
        f"as root, run: chown -R nobody: {state}"
    )


@needs_root
def test_f_a_state_directory_behind_a_closed_one_is_named(shared_directory: Path) -> None:
    shared_directory.chmod(0o700)
    state = shared_directory / "state"
    state.mkdir()
    assert (
        asked_as_nobody(state)
        == f"{state}: cannot be accessed by nobody, the user running this: Permission denied"
    )


def test_f_a_state_directory_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    assert ownership_fault(tmp_path / "state") is None


@needs_root
@pytest.mark.parametrize("name", ["actuator.lock", "journal.sqlite", "log", "chain/.prometheus.yml.new"])
def test_e2_root_does_not_run_over_a_link_of_the_directorys_owner(shared_directory: Path, name: str) -> None:
    state = shared_directory / "state"
    (state / "chain").mkdir(parents=True)
    link = state / name
    link.symlink_to(shared_directory / "elsewhere")
    for path in (state, state / "chain", link):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    assert ownership_fault(state) == (
        f"{link}: is a symbolic link of nobody, and root would write to its target: "
        "remove it, or run this as nobody"
    )
    assert asked_as_nobody(state) == "None", "its owner may lead his own files elsewhere"
    os.chown(link, 0, 0, follow_symlinks=False)
    assert ownership_fault(state) is None, "root has put this one there"


def test_e2_the_lock_and_the_configuration_are_written_past_no_link(tmp_path: Path) -> None:
    """A link may be put there after the directory was looked through."""
    other = tmp_path / "other"
    other.write_text("kept")
    state = tmp_path / "state"
    state.mkdir()
    (state / "actuator.lock").symlink_to(other)
    with pytest.raises(AlreadyRunningError, match="cannot be written: Too many levels of symbolic links"):
        acquire_instance_lock(state)
    (state / ".prometheus.yml.new").symlink_to(other)
    write_files(state, {"prometheus.yml": "new"})
    assert (state / "prometheus.yml").read_text() == "new"
    assert (state / "prometheus.yml").stat().st_mode & 0o777 == 0o600
    assert other.read_text() == "kept"

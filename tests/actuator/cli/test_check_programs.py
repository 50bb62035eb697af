"""`locum check --live`: what it says of the programs of hooks and of address commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum_actuator.cli.live_check.finding import Finding
from locum_actuator.cli.live_check.programs import programs
from locum_inventory.site.model import Site
from tests.actuator.fakes import site


def with_values(**changes: object) -> Site:
    values = site().model_dump()
    values["services"]["www"] = {**values["services"]["www"], **changes}
    return Site.model_validate(values)


# The program, the mode of the file that is there; then the state, the text and how it is repaired.
GIVE_PATH = "install it there, or correct its path"
PROGRAMS = {
    "there": ("{directory}/tell", 0o755, "ok", "exists", ""),
    "not executable": ("{directory}/tell", 0o644, "wrong", "is not executable", "chmod +x {directory}/tell"),
    "not there": (
        "{directory}/other", 0o755, "wrong", "is not on this host", GIVE_PATH,
    ),
    "a directory": ("{directory}", 0o755, "wrong", "is not on this host", GIVE_PATH),
    "on the path": ("sh", 0o755, "ok", "exists", ""),
    "not on the path": (
        "no-such-program", 0o755, "wrong", "is not on this host",
        "install it in one of /usr/local/sbin, /usr/local/bin, /usr/sbin, /usr/bin, /sbin, /bin, or give its path",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("program", "mode", "state", "text", "fix"), PROGRAMS.values(), ids=PROGRAMS)
def test_a_hooks_program(tmp_path: Path, program: str, mode: int, state: str, text: str, fix: str) -> None:
    (tmp_path / "tell").write_text("#!/bin/sh\n")
    (tmp_path / "tell").chmod(mode)
    path = program.format(directory=tmp_path)
    (found,) = programs(with_values(hooks={"after_takeover": {"command": [path, "--loud"]}}))
    assert (found.what, found.state, found.text) == (f"hook after_takeover of www ({path})", state, text)
    assert found.mend == fix.format(directory=tmp_path)


def test_the_commands_in_place_of_an_address() -> None:
    commands = {"claim": ["true"], "check": ["echo"], "release": ["no-such-program"]}
    found = programs(with_values(address_commands=commands))
    assert [(one.what, one.state) for one in found] == [
        ("claim command of www (true)", "ok"),
        ("check command of www (echo)", "ok"),
        ("release command of www (no-such-program)", "wrong"),
    ]


def test_where_there_is_no_program_nothing_is_said() -> None:
    assert list(programs(site())) == list[Finding]()

"""A stranger's half hour: the tutorial's commands, copied out of its text, end with a takeover and the way back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.lab import Lab
from lab.locum import open_the_way
from tests.e2e.tutorial import NOT_HERE, Typed, blocks

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
HANDS = {"in the lab: a loses its power": Lab.crash, "in the lab: a has its power back": Lab.reboot}
# Of these nothing runs in the lab: its hosts have the packages and the virtual environment, and no systemd.
LEFT_OUT = {"apt-get", "systemctl", "python3", "/opt/locum/bin/pip", "kill", "locum"}


class Terminals:
    """A root shell on each host: what one exports lasts."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._exports: dict[str, list[str]] = {"a": [], "b": []}

    def type(self, typed: Typed) -> str:
        """Run a command and return all that it printed; it must end with 0."""
        if typed.command.startswith("export "):
            self._exports[typed.host].append(typed.command)
        script = "\n".join([*self._exports[typed.host], typed.command])
        done = self._lab.run(typed.host, ["bash", "-c", script], check=False, timeout=120)
        assert done.returncode == 0, f"{typed.host}# {typed.command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def test_the_commands_of_the_tutorial_end_with_a_takeover_and_the_way_back() -> None:
    with Lab() as lab:
        _as_after_installing(lab)
        terminals, left_out = Terminals(lab), set()
        for block in blocks(PAGE.read_text(encoding="utf-8")):
            if block.said == NOT_HERE:
                left_out |= {typed.command.split()[0] for typed in block.typed}
                continue
            if block.said:
                HANDS[block.said](lab, "a")
            for typed in block.typed:
                output = terminals.type(typed)
                assert typed.missing(output) == [], f"{typed.host}# {typed.command}\n{output}"
        assert lab.holders() == ["a"]
        assert lab.watcher.held_by_two_seconds(0) == 0
    assert left_out == LEFT_OUT


def _as_after_installing(lab: Lab) -> None:
    """Bring the hosts to where the commands leave them that install packages."""
    open_the_way(lab, "b")
    lab.run("b", ["ln", "-s", str(Path(sys.prefix)), "/opt/locum"])
    lab.run("a", ["apachectl", "stop"])

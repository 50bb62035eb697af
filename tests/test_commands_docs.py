"""docs/commands.md lists every command as the code has it: how it is called, its options, and its exit codes."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from locum_actuator.cli import main as locum
from locum_actuator.server import main as locum_actuator
from locum_exporter.server import main as locum_exporter
from tests.support.site_files import quiet_site

DOCUMENT = Path(__file__).parents[1] / "docs/commands.md"


def _walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            yield from _walk(f"{name} {verb}", below)


PROGRAMS = {"locum": locum, "locum-actuator": locum_actuator, "locum-exporter": locum_exporter}
COMMANDS = {name: found for root, program in PROGRAMS.items() for name, found in _walk(root, program)}
CALLED = [name for name, found in COMMANDS.items() if not isinstance(found, click.Group)]


def _context(name: str) -> click.Context:
    """Return a context as the program makes it: which names help has is the program's own."""
    settings = PROGRAMS[name.split(maxsplit=1)[0]].context_settings
    return click.Context(COMMANDS[name], info_name=name, **settings)


def usage(name: str) -> str:
    """Return how a command is called."""
    command = COMMANDS[name]
    return " ".join([name, *command.collect_usage_pieces(_context(name))])


def options(name: str) -> list[str]:
    """Return the rows of a command's table of options."""
    command = COMMANDS[name]
    context = _context(name)
    records = [param.get_help_record(context) for param in command.get_params(context)]
    return [f"| `{_cell(record[0])}` | {_cell(record[1])} |" for record in records if record is not None]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def section(name: str) -> str:
    return DOCUMENT.read_text().split(f"\n## `{name}`\n", 1)[1].split("\n## ", 1)[0]


def test_every_command_and_no_other() -> None:
    assert re.findall(r"^## `(.+)`$", DOCUMENT.read_text(), re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_as_it_says_itself(name: str) -> None:
    found = [line for line in section(name).splitlines() if line.startswith("| `")]
    assert found == options(name), "these are the rows that should be there"
    assert f"\n    {usage(name)}\n" in section(name)


ENDS_WITH_1 = dict(re.findall(r"^\| `(locum[\w -]*)` \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE))
NO_SERVER = "--actuator http://127.0.0.1:1"  # tcpmux: no program listens there
FAILING = {
    "locum init": "init --output {site}",
    "locum check": "--site {site} check --live",
    "locum up": "--site {site} up --exporter-listen {taken}",
    "locum status": f"status {NO_SERVER}",
    "locum explain": f"explain www {NO_SERVER}",
    "locum incidents": f"incidents {NO_SERVER}",
    "locum incident": f"incident 1 {NO_SERVER}",
    "locum pause": f"--site {{site}} pause www {NO_SERVER}",
    "locum resume": f"--site {{site}} resume www {NO_SERVER}",
    "locum switchover": f"--site {{site}} switchover www --yes {NO_SERVER}",
    "locum failback": f"--site {{site}} failback www --yes {NO_SERVER}",
    "locum mirror": f"--site {{site}} mirror www {NO_SERVER}",
    "locum reset-epoch": "--site {site} reset-epoch www",
    "locum enrol": "--site {site} enrol a --yes --admin root@127.0.0.11",
    "locum generate alertmanager": "--site {site} generate alertmanager {site}/under-a-file",
    "locum generate grafana": "generate grafana {site}/under-a-file",
    "locum-actuator": "--site {site} --listen 127.0.0.1:1",
    "locum-exporter": "--site {site} --listen {taken}",
}


def test_every_command_has_its_exit_codes() -> None:
    assert sorted(ENDS_WITH_1) == sorted(CALLED)
    assert {name for name, when in ENDS_WITH_1.items() if when != "never"} == set(FAILING)


def _end(name: str, *words: str) -> int:
    program = name.split(maxsplit=1)[0]
    return CliRunner().invoke(PROGRAMS[program], words).exit_code


@pytest.mark.parametrize("name", FAILING)
def test_it_ends_with_1(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = quiet_site(tmp_path)
    if name == "locum-actuator":
        (tmp_path / "state/journal.sqlite").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    for server in ("locum_actuator.server", "locum_exporter.server"):
        monkeypatch.setattr(f"{server}.begin_log", lambda *_: None)  # it is this process's, which goes on
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        assert _end(name, *FAILING[name].format(site=site, taken=taken).split()) == 1


@pytest.mark.parametrize("name", CALLED)
def test_wrong_use_ends_with_2(name: str) -> None:
    assert _end(name, *name.split()[1:], "--no-such-option") == 2

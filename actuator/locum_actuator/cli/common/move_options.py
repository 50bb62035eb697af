"""Options that every planned move accepts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from locum_actuator.cli.common.api_client import actuator_option, json_option

_OPTIONS = (
    click.option("--dry-run", is_flag=True, help="show what would be done, and do nothing"),
    click.option("--yes", is_flag=True, help="do not ask for confirmation"),
    click.option("--reason", default="", metavar="TEXT", help="why; shown to people and kept in the journal"),
    click.option("--despite-pause", is_flag=True, help="move the service even while it is paused"),
    click.option(
        "--discard-changes-on", metavar="HOST",
        help="if data has changed on both hosts: discard the changes on this host (copies are kept)",
    ),
    actuator_option,
    json_option,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """The command line's options, apart from service and host; each field has the name of its option."""

    dry_run: bool
    yes: bool
    reason: str
    despite_pause: bool
    discard_changes_on: str | None
    url: str
    as_json: bool


def move_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a planned move to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command

"""The options of every planned move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from locum_actuator.cli.common.api_client import actuator_option, json_option

_OPTIONS = (
    click.option("--dry-run", is_flag=True, help="say what would be done, and do nothing"),
    click.option("--yes", is_flag=True, help="do not ask"),
    click.option("--reason", default="", metavar="TEXT", help="why, for those who wonder"),
    click.option("--despite-pause", is_flag=True, help="also while the service is paused"),
    click.option(
        "--discard-changes-on", metavar="HOST",
        help="where both sides have changed data: whose changes to give up (they are kept aside)",
    ),
    actuator_option,
    json_option,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """What was said on the command line beside service and host; the fields are the options' names."""

    dry_run: bool
    yes: bool
    reason: str
    despite_pause: bool
    discard_changes_on: str | None
    url: str
    as_json: bool


def move_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a planned move."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command

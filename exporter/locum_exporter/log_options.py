"""The logging options that exporter and actuator share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from locum_inventory.logs.format import LOG_FORMATS, LOG_LEVELS

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FORMAT = click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="logfmt",
    show_default=True,
    help="the format of log lines",
)
_LEVEL = click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS),
    default="info",
    show_default=True,
    help="the lowest level to log",
)


def log_options(command: _Command) -> _Command:
    """Add `--log-format` and `--log-level` to a command."""
    return _FORMAT(_LEVEL(command))

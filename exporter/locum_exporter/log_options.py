"""The options that say how a program logs: the same for exporter and actuator."""

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
    help="how each line is written",
)
_LEVEL = click.option(
    "--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True, help="the least to log"
)


def log_options(command: _Command) -> _Command:
    """Give a command `--log-format` and `--log-level`."""
    return _FORMAT(_LEVEL(command))

"""SERVICE or `--all`, for commands that act on one service or on all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from locum_actuator.cli.common.api_client import ask
from locum_actuator.cli.common.exits import wrong_use

_Command = TypeVar("_Command", bound=Callable[..., Any])


def one_or_all(command: _Command) -> _Command:
    """Add an optional SERVICE argument and the option `--all`, as `service` and `everything`."""
    everything = click.option("--all", "everything", is_flag=True, help="every service of the site")
    return click.argument("service", required=False)(everything(command))


def chosen_services(url: str, service: str | None, *, everything: bool) -> list[str]:
    """Return the names of the chosen services; exit 2 if neither SERVICE nor `--all` was given, or both were.

    `--all` asks the actuator for the names, and exits 1 if it does not answer. SERVICE is not checked here.
    """
    if (service is None) == (not everything):
        wrong_use("locum: give a SERVICE, or --all")
    if service is not None:
        return [service]
    return [row["service"] for row in ask(url, "/api/v1/services")["services"]]

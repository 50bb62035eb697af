"""`locum switchover`: move a service to another host, as planned maintenance."""

from __future__ import annotations

from typing import Any

import click

from locum_actuator.cli.common.move_command import run_move
from locum_actuator.cli.common.move_options import MoveOptions, move_options


@click.command()
@click.argument("service")
@click.argument("host", required=False)
@move_options
@click.pass_obj
def switchover(site_file: str | None, /, service: str, host: str | None, **given: Any) -> None:
    """Move SERVICE to HOST; without HOST, to the next of its hosts that is able to hold it.

    Shows the steps and asks for confirmation. If a step fails, the steps before it are undone.
    """
    run_move(site_file, "switchover", service, host, MoveOptions(**given))

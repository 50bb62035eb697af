"""`locum failback`: move a service back to its preferred host."""

from __future__ import annotations

from typing import Any

import click

from locum_actuator.cli.common.move_command import run_move
from locum_actuator.cli.common.move_options import MoveOptions, move_options


@click.command()
@click.argument("service")
@move_options
@click.pass_obj
def failback(site_file: str | None, /, service: str, **given: Any) -> None:
    """Move SERVICE back to its preferred host.

    Shows the steps and asks for confirmation. If a step fails, the steps before it are undone.
    """
    run_move(site_file, "failback", service, None, MoveOptions(**given))

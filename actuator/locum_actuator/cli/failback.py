"""`locum failback`: have the preferred host hold a service again."""

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
    """Make the preferred host the holder of SERVICE again.

    Shows the steps and asks. A step that does not work makes those before it be undone.
    """
    run_move(site_file, "failback", service, None, MoveOptions(**given))

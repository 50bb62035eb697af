"""`locum switchover`: have another host hold a service, by plan."""

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
    """Make HOST the holder of SERVICE; without HOST the next of its hosts that could be.

    Shows the steps and asks. A step that does not work makes those before it be undone.
    """
    run_move(site_file, "switchover", service, host, MoveOptions(**given))

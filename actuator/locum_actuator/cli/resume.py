"""`locum resume`: end the pause of a service."""

from __future__ import annotations

import click

from locum_actuator.cli.client import actuator_option, api_token, tell


@click.command()
@click.argument("service")
@actuator_option
@click.pass_obj
def resume(site_file: str | None, /, service: str, url: str) -> None:
    """End the pause of SERVICE; locum looks at it at once."""
    answer = tell(url, f"/api/v1/services/{service}/resume", api_token(site_file), {})
    click.echo(f"{service} is resumed" if answer["was_paused"] else f"{service} was not paused")

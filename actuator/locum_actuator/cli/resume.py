"""`locum resume`: end the pause of a service."""

from __future__ import annotations

import click

from locum_actuator.cli.common.api_client import actuator_option, api_token, tell
from locum_actuator.cli.common.service_argument import chosen_services, one_or_all
from locum_actuator.system.printing import say


@click.command()
@one_or_all
@actuator_option
@click.pass_obj
def resume(site_file: str | None, /, *, service: str | None, everything: bool, url: str) -> None:
    """End the pause of SERVICE; locum evaluates it at once."""
    token = api_token(site_file)
    for name in chosen_services(url, service, everything=everything):
        answer = tell(url, f"/api/v1/services/{name}/resume", token, {})
        say(f"{name} is resumed" if answer["was_paused"] else f"{name} was not paused")

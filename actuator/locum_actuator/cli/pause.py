"""`locum pause`: suspend actions on a service for a while, so that a person can work on it."""

from __future__ import annotations

import re
from typing import Any

import click

from locum_actuator.cli.common.api_client import actuator_option, api_token, tell
from locum_actuator.cli.common.service_argument import chosen_services, one_or_all
from locum_actuator.system.local_time import local_time
from locum_actuator.system.printing import say

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,7})([smhd])")


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in later versions
    """A time such as 90s, 30m, 2h or 1d, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        found = _DURATION.fullmatch(str(value))
        if found is None or int(found[1]) == 0:
            self.fail(f"'{value}': give a number and s, m, h or d, such as 30m or 2h", param, ctx)
        return float(int(found[1]) * _UNIT_SECONDS[found[2]])


@click.command()
@one_or_all
@click.option(
    "--for", "seconds", type=Duration(), default="1h", show_default=True, metavar="TIME",
    help="how long, such as 30m or 2h; the pause ends after that time",
)  # fmt: skip
@click.option("--reason", default="", metavar="TEXT", help="why; shown to people and kept in the journal")
@actuator_option
@click.pass_obj
def pause(
    site_file: str | None, /, *, service: str | None, everything: bool, seconds: float, reason: str, url: str
) -> None:
    """Suspend all actions on SERVICE for a while; what would have been done is recorded.

    A plan that has started is finished first. The service keeps running and is still checked.
    """
    token, body = api_token(site_file), {"seconds": seconds, "reason": reason}
    for name in chosen_services(url, service, everything=everything):
        answer = tell(url, f"/api/v1/services/{name}/pause", token, body)
        until = local_time(answer["pause"]["until"])
        say(f"{name} is paused until {until}: {answer['pause']['reason']}")
        if answer["open_incident"]:
            say(f"incident {answer['open_incident']} is open: a plan that has started is finished first")

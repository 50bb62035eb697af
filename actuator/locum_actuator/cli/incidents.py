"""`locum incidents`: list incidents from the journal: what happened, when and why."""

from __future__ import annotations

from typing import Any

import click

from locum_actuator.cli.common.api_client import actuator_option, ask, json_option
from locum_actuator.cli.incident_report.timeline import draw
from locum_actuator.system.local_time import local_time
from locum_actuator.system.printable import printable
from locum_actuator.system.printing import Terminal, say_json, styled


@click.command()
@click.argument("service", required=False)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="how many of the newest"
)
@click.option("--timeline", is_flag=True, help="draw a timeline of each, as locum incident does")
@actuator_option
@json_option
def incidents(service: str | None, limit: int, url: str, *, timeline: bool, as_json: bool) -> None:
    """List the incidents of SERVICE, or of all services, each with its steps."""
    query: dict[str, str | int] = {"limit": limit, **({"service": service} if service else {})}
    rows: list[dict[str, Any]] = ask(url, "/api/v1/incidents", **query)["incidents"]
    if as_json:
        say_json(rows)
        return
    console = Terminal()
    if not rows:
        console.print("no incidents yet")
    for row in reversed(rows):
        if timeline:
            draw(console, row)
            console.print()
        else:
            _print(console, row)


def _print(console: Terminal, row: dict[str, Any]) -> None:
    opened = row["opened_at"]
    when = local_time(opened)
    outcome = row["outcome"] or "open"
    woken = printable(row["trigger"])
    console.print(
        styled(
            (f"{row['id']} {row['service']}", "bold"), f" {when} triggered by {woken}: ", (outcome, "bold")
        )
    )
    if row["looks"] > 1:
        until = local_time(row["closed_at"])
        console.print(
            styled(f"  {row['looks']} evaluations until {until}; the last: {printable(row['reason'])}")
        )
    for event in row["events"]:
        step = f"{event['step']} on {event['host']}: " if event["step"] else ""
        line = (
            f"  {(event['at'] - opened) * 1000:8.0f} ms  {event['kind']:8} {step}{printable(event['text'])}"
        )
        console.print(line)

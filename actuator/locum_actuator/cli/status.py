"""`locum status`: who holds what, and who could stand in."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from locum_actuator.cli.client import actuator_option, ask, json_option


@click.command()
@click.argument("service", required=False)
@actuator_option
@json_option
def status(service: str | None, url: str, as_json: bool) -> None:
    """Show who holds each service and who could stand in."""
    rows: list[dict[str, Any]] = (
        [ask(url, f"/api/v1/services/{service}")] if service else ask(url, "/api/v1/services")["services"]
    )
    if as_json:
        click.echo(json.dumps(rows[0] if service else rows, indent=2))
        return
    table = Table("Service", "Address", "Holder", "Since", "Hosts", "Notes")
    for row in rows:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["since"])) if row["since"] else ""
        hosts = "\n".join(f"{host}: {row['hosts_seen'].get(host, 'not asked yet')}" for host in row["hosts"])
        holder = Text(row["holder"] or "not known", style="bold green" if row["holder"] else "bold red")
        table.add_row(
            row["service"], "\n".join(row["addresses"]), holder, since, hosts, "\n".join(_notes(row))
        )
    console = Console()
    console.print(table)
    chain = ask(url, "/api/v1/chain")
    for line in _chain(chain["parts"]):
        console.print(line, soft_wrap=True)


def _chain(parts: list[dict[str, Any]]) -> list[Text]:
    """Return one line that says that all is well, or a line for each part that is not there."""
    wrong = [part for part in parts if part["up"] is not True]
    if not wrong:
        return [Text("chain: all of it is there", style="green")] if parts else []
    return [Text(f"chain: {part['part']}: {part['text']}", style="bold red") for part in wrong]


def _notes(row: dict[str, Any]) -> list[str]:
    notes = []
    if row["open_incident"]:
        notes.append(f"incident {row['open_incident']} is open")
    if row["alone"]:
        notes.append(f"nobody is left to stand in for {row['holder']}")
    if row["pause"]:
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["pause"]["until"]))
        notes.append(f"paused until {until}: {row['pause']['reason']}")
    notes += [
        f"{host} has {copy['text']}{', which is too old' if copy['stale'] else ''}"
        for host, copy in row.get("copies", {}).items()
    ]
    if row["mode"] == "observe":
        notes.append("observes only")
    return notes

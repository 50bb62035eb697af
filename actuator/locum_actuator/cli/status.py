"""`locum status`: show the holder and the standbys of each service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from locum_actuator.cli.common.api_client import actuator_option, ask, json_option
from locum_actuator.system.local_time import local_time
from locum_actuator.system.printing import Terminal, Text, say_json, styled


@click.command()
@click.argument("service", required=False)
@actuator_option
@json_option
def status(service: str | None, url: str, as_json: bool) -> None:
    """Show the holder of each service, and which hosts could take over."""
    rows: list[dict[str, Any]] = (
        [ask(url, f"/api/v1/services/{service}")] if service else ask(url, "/api/v1/services")["services"]
    )
    if as_json:
        say_json(rows[0] if service else rows)
        return
    console = Terminal()
    for row in rows:
        for line in _service(row, every=service is not None):
            console.print(line, soft_wrap=True)
    chain = ask(url, "/api/v1/chain")
    for line in _chain(chain["parts"]):
        console.print(line, soft_wrap=True)


def _service(row: dict[str, Any], *, every: bool) -> Iterator[Text]:
    """Yield the lines about one service. They do not depend on the width of the terminal, so nothing is cut off."""
    held = (
        ("held by ", (row["holder"], "bold green"))
        if row["holder"]
        else (("no holder is known", "bold red"),)
    )
    since = f" since {local_time(row['since'])}" if row["since"] else ""
    yield styled((row["service"], "bold"), f"  {' '.join(row['addresses'])}  ", *held, since)
    for host in row["hosts"]:
        yield styled(f"  {host}: {row['hosts_seen'].get(host, 'not asked yet')}")
    for note in _notes(row):
        yield styled(f"  {note}")
    yield from _rejoining(row, every=every)


def _rejoining(row: dict[str, Any], *, every: bool) -> Iterator[Text]:
    """Yield the checklist of each host that is not a standby yet; for a single service, of every host."""
    for host, list_ in row["rejoin"].items():
        if list_["complete"] and not every:
            continue
        yield styled(
            f"{row['service']}: {host} is {'a standby' if list_['complete'] else 'not a standby yet'}:"
        )
        for item in list_["items"]:
            mark, style = {True: ("yes", "green"), False: ("no ", "bold red"), None: ("?  ", "yellow")}[
                item["ok"]
            ]
            yield styled("  ", (mark, style), f"  {item['text']}")
    if row["failback"]:
        yield styled(f"{row['service']}: {row['failback']}")


def _chain(parts: list[dict[str, Any]]) -> list[Text]:
    """Return one line if the monitoring chain is ok, else a line for each part with a fault."""
    wrong = [part for part in parts if part["up"] is not True]
    if not wrong:
        return [styled(("monitoring chain: ok", "green"))] if parts else []
    return [styled((f"monitoring chain: {part['part']}: {part['text']}", "bold red")) for part in wrong]


def _notes(row: dict[str, Any]) -> list[str]:
    notes = []
    if row["open_incident"]:
        notes.append(f"incident {row['open_incident']} is open")
    notes += [
        f"starting on {host} for {age:.0f} s: no answer yet" for host, age in row.get("starting", {}).items()
    ]
    if row["witnesses"] and not any(row["witnesses"].values()):
        notes.append(
            f"no witness answers ({', '.join(row['witnesses'])}): this host may be the one that is cut off"
        )
    if (reach := row.get("reach")) is not None and reach["outcome"] != "well":
        notes.append(reach["text"])
    if not row["standby_available"]:
        notes.append(f"no standby is available for {row['holder']}")
    if row["pause"]:
        until = local_time(row["pause"]["until"])
        notes.append(f"paused until {until}: {row['pause']['reason']}")
    notes += [
        f"{host} has {copy['text']}{', which is too old' if copy['stale'] else ''}"
        for host, copy in row.get("copies", {}).items()
    ]
    if row["mode"] == "observe":
        notes.append("observe mode: takes no action")
    return notes

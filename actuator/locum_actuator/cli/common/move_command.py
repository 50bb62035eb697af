"""Common part of `locum switchover` and `locum failback`: show the plan, confirm, start and follow the move."""

from __future__ import annotations

import getpass
import os
import socket
import time
from typing import Any

from locum_actuator.cli.common.api_client import api_token, ask, tell
from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.cli.common.move_options import MoveOptions
from locum_actuator.system.printing import Terminal, confirm, say_json, styled

POLL_SECONDS = 0.1
_DONE = {"switchover", "failback", "already"}


def asked_by() -> str:
    """Return USER@HOST for the person at this terminal; under sudo, the user who called sudo."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def run_move(site_file: str | None, verb: str, service: str, host: str | None, given: MoveOptions) -> None:
    """Run a planned move from the command line, and exit with its code."""
    if given.as_json and not (given.yes or given.dry_run):
        wrong_use(f"locum {verb}: --json cannot ask for confirmation: give --yes or --dry-run")
    token, path = api_token(site_file), f"/api/v1/services/{service}/{verb}"
    body: dict[str, object] = {
        "to": host,
        "by": asked_by(),
        "reason": given.reason,
        "despite_pause": given.despite_pause,
        "discard_changes_on": given.discard_changes_on,
    }
    would = tell(given.url, path, token, {**body, "dry_run": True})
    console = Terminal(quiet=given.as_json)
    _show_plan(console, verb, service, would)
    if given.dry_run or not would["plan"]["steps"]:
        if given.as_json:
            say_json(would)
        if would["plan"]["kind"] in {"refuse", "keep_looking"}:
            did_not_work(f"locum {verb}: refused: {would['plan']['reason']}")
        return
    if not given.yes and not confirm("Go ahead?"):
        did_not_work(f"locum {verb}: nothing was done")
    tell(given.url, path, token, body)
    incident = _follow(console, given.url, _begun(console, given.url, service))
    if given.as_json:
        say_json(incident)
    if incident["outcome"] not in _DONE:
        did_not_work(f"locum {verb}: {incident['outcome']}: {incident['reason']}")
    holder = ask(given.url, f"/api/v1/services/{service}")["holder"]
    console.print(styled((f"{service} is held by {holder} now", "bold"), f" (incident {incident['id']})"))


def _show_plan(console: Terminal, verb: str, service: str, would: dict[str, Any]) -> None:
    plan = would["plan"]
    if plan["kind"] == "nothing":
        console.print(f"{service}: nothing to do: {plan['reason']}")
    if plan["steps"]:
        console.print(
            styled((f"{verb} of {service}", "bold"), f" from {would['holder']} to {plan['target']}:")
        )
    for step in plan["steps"]:
        console.print(f"  {step['name']} on {step['host']}")


def _begun(console: Terminal, url: str, service: str) -> int:
    """Wait until the move has an incident, and return its number; data may be copied first."""
    shown = ""
    while True:
        move = ask(url, f"/api/v1/services/{service}/move")["move"]
        if move["incident"] is not None:
            return int(move["incident"])
        if move["phase"] in {"refused", "failed"}:
            did_not_work(f"locum {move['verb']}: {move['phase']}: {move['text']}")
        if move["text"] != shown:
            shown = move["text"]
            console.print(f"  {shown}")
        time.sleep(POLL_SECONDS)


def _follow(console: Terminal, url: str, number: int) -> dict[str, Any]:
    """Print each event as it occurs, and return the incident once it is closed."""
    shown = 0
    while True:
        incident: dict[str, Any] = ask(url, f"/api/v1/incidents/{number}")["incident"]
        for event in incident["events"][shown:]:
            at = (event["at"] - incident["opened_at"]) * 1000
            step = f"{event['step']} on {event['host']}: " if event["step"] else ""
            line = f"  {at:8.0f} ms  {event['kind']:8} {step}{event['text']}"
            console.print(line, soft_wrap=True)
        shown = len(incident["events"])
        if incident["outcome"]:
            return incident
        time.sleep(POLL_SECONDS)

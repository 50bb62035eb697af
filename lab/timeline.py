"""The course of one incident in milliseconds, from the fault to the first good answer.

Unlike the picture of `locum incident`, this one begins with the fault and ends with the client's answer, which only
the lab knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.locum import Locum
from lab.trial import Trial

BAR_CHARACTERS = 30
_FAILED_CHECKS = 'locum_check_success{service="www",host="a",decides="true"}'


@dataclass(frozen=True, slots=True)
class Moment:
    """An event `seconds` after the fault."""

    seconds: float
    what: str
    words: str


def moments(trial: Trial, locum: Locum) -> list[Moment]:
    """Collect the records of the incident from Prometheus, Alertmanager, the journal and the client."""
    incident, found = trial.incident, [Moment(0.0, "fault", f"{trial.fault.verb} on a")]
    failed = _first_failed_check(trial, locum)
    if failed is not None:
        found.append(Moment(failed - trial.at, "first failed check", "scraped by Prometheus"))
    for alert in incident.get("alerts", [])[:1]:
        if alert["starts_at"]:
            begun = datetime.fromisoformat(alert["starts_at"]).timestamp()
            found.append(Moment(begun - trial.at, "alert", f"{alert['name']} fires in Prometheus"))
        found.append(Moment(alert["received_at"] - trial.at, "webhook", f"{alert['name']} is in the journal"))
    found += [_event(event, trial.at) for event in incident.get("events", []) if event["kind"] != "started"]
    if trial.seconds_without_service is not None:
        found.append(
            Moment(
                trial.seconds_without_service, "first good answer", f"{trial.answered_by} answers the client"
            )
        )
    return sorted(found, key=lambda moment: moment.seconds)


def _event(event: dict[str, Any], at: float) -> Moment:
    if event["kind"] == "decided":
        return Moment(event["at"] - at, "evidence", event["text"])
    return Moment(event["at"] - at, f"{event['step']} on {event['host']} {event['kind']}", event["text"])


def _first_failed_check(trial: Trial, locum: Locum) -> float | None:
    times = [
        float(at)
        for series in locum.samples(_FAILED_CHECKS, trial.at + 10.0, 10.0)
        for at, value in series
        if value == 0 and float(at) >= trial.at - 0.25
    ]
    return min(times, default=None)


def draw(console: Console, moments: list[Moment], title: str) -> None:
    """Draw the moments on a line of time."""
    end = max((moment.seconds for moment in moments), default=0.0) or 1.0
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1), expand=True
    )
    table.add_column("ms", justify="right", min_width=5)
    table.add_column("", min_width=BAR_CHARACTERS + 1, no_wrap=True)
    table.add_column("what", min_width=max((len(moment.what) for moment in moments), default=0), no_wrap=True)
    table.add_column("", style="dim", ratio=1)
    for moment in moments:
        at = round(max(0.0, moment.seconds) / end * BAR_CHARACTERS)
        bar = f"[dim]{'─' * at}[/]●"
        table.add_row(f"{moment.seconds * 1000:.0f}", bar, moment.what, moment.words)
    console.print(table)

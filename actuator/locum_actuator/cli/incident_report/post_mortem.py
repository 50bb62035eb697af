"""Write an incident as a Markdown file for a post-mortem, with headings for people to fill in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from locum_actuator.cli.incident_report.timeline import ends, picture, since
from locum_actuator.journal.incident_summary import (
    Incident,
    decisions,
    holder_after,
    impact,
    moments,
    sentence,
    title,
)
from locum_actuator.system.printable import printable

_FOR_PEOPLE = {
    "What people saw": "Who noticed it, and when? Was the outage longer than the seconds above?",
    "Why it happened": "The fault itself, and its cause.",
    "What went well, and what did not": "Did locum decide correctly, and did it receive the alerts in time?",
    "What is to be done": "Who does what, and by when?",
}
# Characters with a meaning in Markdown; the text comes from gates, commands and alerts.
_MARKED = {ord(c): f"\\{c}" for c in "\\`*_[]<>|#~$"}


def post_mortem(incident: Incident) -> str:
    """Return the text of the file. Times are in UTC."""
    lines = [f"# Incident {incident['id']}: {plain(title(incident))}", "", plain(sentence(incident)), ""]
    for heading, part in (
        ("Impact", _impact(incident)),
        ("Timeline", _timeline(incident)),
        ("What was seen at each decision", _seen(incident)),
        ("Alerts", _alerts(incident)),
    ):
        lines += [f"## {heading}", "", *part, ""]
    for heading, hint in _FOR_PEOPLE.items():
        lines += [f"## {heading}", "", f"*{hint}*", ""]
    return "\n".join(lines)


def plain(text: object) -> str:
    """Return a text on one line, escaped so that Markdown shows it unchanged."""
    return printable(text).translate(_MARKED)


def utc(at: float, *, day: bool = True) -> str:
    """Return a time in UTC, to the millisecond."""
    form = "%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S"
    return f"{time.strftime(form, time.gmtime(at))}.{int(at % 1 * 1000):03d}"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    names = list(head)
    body = ["| " + " | ".join(plain(cell) for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names), *body]


def _impact(incident: Incident) -> list[str]:
    measured, closed = impact(incident), incident["closed_at"]
    long = "not over yet" if incident["outcome"] is None else "nothing to prove, because nothing was done"
    if measured["seconds"] is not None:
        long = f"{measured['seconds']:.2f} s, until a check proved that the service answers"
    rows = [
        ("from the first alert to the proof", long),
        ("began", f"{utc(measured['begun_at'])} UTC ({measured['begun_by']})"),
        ("ended", "it is open" if closed is None else f"{utc(closed)} UTC ({incident['outcome']})"),
        ("holder before", incident["holder_before"] or "not known"),
        ("holder after", holder_after(incident) or "not known"),
        ("data", _data_age(incident)),
    ]
    return [
        *_table(("", ""), rows),
        "",
        "The fault began before the first alert: an alert needs at least two failed checks.",
    ]


def _data_age(incident: Incident) -> str:
    """Return the age of the copies at the last decision to act: the data loss, if a standby took over."""
    acted = [event for event in decisions(incident) if (event["data"] or {}).get("plan")]
    copies: Mapping[str, Any] = (acted[-1]["data"].get("copies") if acted else None) or {}
    ages = [
        f"{host} had {copy['text']}{', too old' if copy['stale'] else ''}" for host, copy in copies.items()
    ]
    return "; ".join(ages) or "not mirrored by locum, or nothing was done"


def _timeline(incident: Incident) -> list[str]:
    happened = moments(incident)
    begin, _ = ends(happened)
    rows = [(utc(one.at, day=False), since(one.at - begin), one.what, one.words) for one in happened]
    drawn = ["```", *picture(incident).splitlines(), "```"]
    day = time.strftime("%Y-%m-%d", time.gmtime(begin))
    looks = incident["looks"]
    more = [f"{looks} evaluations had the same result; only the first is shown.", ""] if looks > 1 else []
    return [*more, *drawn, "", *_table((f"{day}, UTC", "after", "what", "how"), rows)]


def _seen(incident: Incident) -> list[str]:
    lines: list[str] = []
    for event in decisions(incident):
        data = event["data"] or {}
        lines += [f"### {utc(event['at'], day=False)}: {plain(event['text'])}", ""]
        steps = ", ".join(data.get("plan", ())) or "none"
        lines += [f"- steps: {plain(steps)}", *_situation(data.get("seen") or {}), ""]
    return lines[:-1] or ["Nothing was decided yet."]


def _situation(seen: Mapping[str, Any]) -> Iterator[str]:
    if not seen:
        return
    looked = "" if seen["address_looked"] else " (the network could not be probed)"
    yield f"- address held by: {plain(', '.join(seen['holders']) or 'no host')}{looked}"
    if seen["strangers"]:
        yield f"- other machines that answer for the address: {plain(', '.join(seen['strangers']))}"
    for address, answered in seen["witnesses"].items():
        yield f"- witness {plain(address)}: {'answers' if answered else 'does not answer'}"
    for name, host in seen["hosts"].items():
        processes = "not known" if host["processes"] is None else host["processes"]
        yield f"- {plain(name)}: {host['echoes']} echoes, gate: {plain(host['gate'])}, processes: {processes}"
        for point, text in host["looks"].items():
            yield f"  - seen from {plain(point)}: {plain(text)}"


def _alerts(incident: Incident) -> list[str]:
    if not incident["alerts"]:
        return ["None: locum detected this without an alert."]
    rows = [
        (
            utc(alert["received_at"], day=False),
            alert["name"],
            alert["host"] or "",
            alert["status"],
            alert["verdict"],
        )
        for alert in incident["alerts"]
    ]
    more = incident["alert_count"] - len(rows)
    table = _table(("received, UTC", "alert", "host", "status", "what locum did with it"), rows)
    return [*table, "", f"{more} more are in the journal."] if more > 0 else table

"""Summarise an incident for people: its events in order, its impact, and the holder after it.

Pure functions of an incident as the API returns it (docs/api.md). Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Incident = Mapping[str, Any]

ENDED = {"done", "already", "failed"}
_PLANNED = {"switchover", "failback"}
_PROVING = {"prove", "respawn"}  # a respawn is over when the service answers again
_REPAIRED = {"takeover", "respawn", "claim", *_PLANNED}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened. An event with a duration has `seconds`, and ended at `at`."""

    at: float
    what: str
    words: str
    seconds: float = 0.0
    bad: bool = False  # it did not work


def starts_at(alert: Mapping[str, Any]) -> float | None:
    """Return when an alert began to fire by Prometheus's clock; None if it does not say."""
    try:
        at = datetime.fromisoformat(alert["starts_at"])
        return at.timestamp() if at.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def impact(incident: Incident) -> dict[str, Any]:
    """Return the time in which clients may have been without the service, as far as locum knows.

    It begins with the first alert, or else with the incident, and ends when the service was last proven to answer.
    `seconds` is None without a proof: nothing was done, or the incident is not over.
    """
    firing = [(at, alert["name"]) for alert in incident["alerts"] if (at := starts_at(alert)) is not None]
    begun_at, begun_by = min(firing, default=(incident["opened_at"], incident["trigger"]))
    proved_at = _proved_at(incident)
    seconds = None if proved_at is None else round(max(0.0, proved_at - begun_at), 3)
    return {"begun_at": begun_at, "begun_by": begun_by, "proved_at": proved_at, "seconds": seconds}


def _proved_at(incident: Incident) -> float | None:
    """Return when a step last proved that the service answers, or when a check closed an unproven incident."""
    proofs = [e["at"] for e in incident["events"] if e["kind"] == "done" and e["step"] in _PROVING]
    if not proofs and incident["outcome"] in _REPAIRED:
        proofs = [incident["closed_at"]]
    return max(proofs, default=None)


def holder_after(incident: Incident) -> str | None:
    """Return the holder after the last event, according to the journal; None: not known."""
    before: str | None = incident["holder_before"]
    holder = before
    for event in incident["events"]:
        data = event["data"] or {}
        if event["kind"] == "decided" and data.get("kind") == "adopt":
            before = holder = data["target"]
        elif (event["step"], event["kind"]) == ("claim", "started"):
            before, holder = holder, event["host"]
        elif (event["step"], event["kind"]) == ("claim", "undone"):
            holder = before
    return holder


def moments(incident: Incident) -> list[Moment]:
    """Return all events in chronological order."""
    return sorted(_moments(incident), key=lambda moment: moment.at)


def _moments(incident: Incident) -> Iterator[Moment]:
    if not incident["alerts"]:
        yield Moment(incident["opened_at"], "opened", f"woken by {incident['trigger']}")
    for alert in incident["alerts"][:1]:
        whose = f"{alert['name']} of {alert['host']}" if alert["host"] else str(alert["name"])
        if (at := starts_at(alert)) is not None:
            yield Moment(at, "alert", f"{whose} fires in Prometheus")
        yield Moment(alert["received_at"], "webhook", f"{whose} is in the journal: {alert['verdict']}")
    events = incident["events"]
    for event, following in zip(events, [*events[1:], None], strict=True):
        if event["kind"] == "started" and following is not None and ends(event, following):
            continue
        yield _of_event(event)
    if incident["looks"] == 1 and incident["closed_at"] is not None:
        yield Moment(incident["closed_at"], "closed", f"{incident['outcome']}: {incident['reason']}")


def ends(begun: Mapping[str, Any], later: Mapping[str, Any]) -> bool:
    """Return whether an event ends the step that another event began."""
    same = (begun["step"], begun["host"]) == (later["step"], later["host"])
    return same and later["kind"] in ENDED


def _of_event(event: Mapping[str, Any]) -> Moment:
    kind, text, seconds = event["kind"], event["text"], event["seconds"] or 0.0
    if kind == "hook":
        return Moment(event["at"], f"hook at {event['step']}", text, seconds, " failed" in text)
    what = f"{event['step']} on {event['host']} {kind.replace('_', ' ')}" if event["step"] else kind
    return Moment(event["at"], what, text, seconds, kind in {"failed", "undo_failed", "refused"})


def title(incident: Incident) -> str:
    """Return the result of an incident in a few words."""
    before, after, outcome = incident["holder_before"], holder_after(incident), incident["outcome"]
    service = incident["service"]
    if outcome is None:
        return f"{service}: open"
    if outcome == "takeover":
        return f"{service} taken over by {after}"
    if outcome in _PLANNED:
        return f"{service} moved from {before} to {after} as planned"
    words = {
        "respawn": f"{service} restarted on {after}",
        "claim": f"address of {service} given to {after}",
        "release": f"{service} released where it should not be",
        "nothing": f"{service}: nothing was done",
        "already": f"{service}: nothing had to be done",
        "refused": f"{service}: move refused",
        "failed": f"{service}: move failed",
        "dropped": f"{service}: no longer watched",
    }
    return words.get(outcome, f"{service}: {outcome}")


def sentence(incident: Incident) -> str:
    """Return one sentence about what woke locum, what it did, and why."""
    planned, outcome = incident["planned"], incident["outcome"]
    if planned is not None:
        for_whom = planned["asked_by"] or "locum itself"
        why = f" ({planned['reason']})" if planned["reason"] else ""
        began = f"{for_whom} asked for a {planned['verb']}{why}"
    else:
        began = f"locum was woken by {incident['trigger']}"
    if outcome is None:
        decided = [event["text"] for event in incident["events"] if event["kind"] == "decided"]
        now = decided[-1] if decided else "it has not decided yet"
        return f"{began}, and is still working on it: {now}."
    looks = f", the last of {incident['looks']} checks" if incident["looks"] > 1 else ""
    return f"{began}; {title(incident)}{looks}: {incident['reason']}."


def decisions(incident: Incident) -> list[Mapping[str, Any]]:
    """Return the decisions of an incident, each with its situation in `data`."""
    return [event for event in incident["events"] if event["kind"] == "decided"]

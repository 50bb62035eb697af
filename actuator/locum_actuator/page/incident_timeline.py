"""Compute the timeline of an incident: what to draw, and where. The templates draw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from locum_actuator.journal.incident_summary import ENDED, ends, starts_at
from locum_actuator.page.time_axis import Axis, Cut

FIRED_BEFORE_SECONDS = (
    60.0  # an alert that began longer ago has a different clock, or began for another incident
)
MOST_MARKS = 60  # more would make the picture too tall
MOST_ALERTS = 3


@dataclass(frozen=True, slots=True)
class Mark:
    """One row: a bar where `end` is later than `begin`, else a dot. Both in percent of the width."""

    kind: str  # alert, decided, refused, done, already, failed, running, broken, undone, hook, resumed
    label: str
    words: str
    begin: float
    end: float
    after_seconds: float  # from the first moment to its end
    took_seconds: float | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timeline of one incident."""

    marks: tuple[Mark, ...]
    left_out: int
    ticks: tuple[tuple[float, float], ...]
    cuts: tuple[Cut, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Span:
    kind: str
    label: str
    words: str
    begin: float
    end: float
    is_bar: bool = False


def draw(incident: Mapping[str, Any], now: float) -> Timeline:
    """Return the timeline of an incident from the journal; an open one lasts until `now`."""
    spans = [*_alerts(incident), *_events(incident, now)]
    left_out = max(0, len(spans) - MOST_MARKS)
    if left_out:  # the beginning and the end matter most
        half = MOST_MARKS // 2
        spans = [*spans[:half], *spans[-half:]]
    ends = [incident["opened_at"], *(span.end for span in spans)]
    closed = max(now, *ends) if incident["closed_at"] is None else incident["closed_at"]
    if incident.get("looks", 1) > 1:  # its last evaluation was long after its first
        closed = max(ends)
    moments = [incident["opened_at"], closed, *(at for span in spans for at in (span.begin, span.end))]
    axis, first = Axis(moments), min(moments)
    marks = tuple(
        Mark(
            span.kind,
            span.label,
            span.words,
            axis.percent(span.begin),
            axis.percent(span.end),
            span.end - first,
            span.end - span.begin if span.is_bar else None,
        )
        for span in spans
    )
    return Timeline(marks, left_out, tuple(axis.ticks()), axis.cuts, axis.seconds)


def _alerts(incident: Mapping[str, Any]) -> Iterator[_Span]:
    """Yield the first alert of each kind, from its start in Prometheus until it was received."""
    shown: set[tuple[str, str | None]] = set()
    for alert in incident["alerts"]:
        about = (str(alert["name"]), alert["host"])
        if about in shown or alert["status"] == "resolved" or len(shown) == MOST_ALERTS:
            continue
        shown.add(about)
        received = float(alert["received_at"])
        begun = _began(alert, received)
        label = f"{about[0]} on {about[1]}" if about[1] else about[0]
        yield _Span("alert", label, "the alert fires and reaches locum", begun, received, is_bar=True)


def _began(alert: Mapping[str, Any], received: float) -> float:
    """Return when an alert began, maybe by another machine's clock; if implausible, when it arrived."""
    at = starts_at(alert)
    return at if at is not None and 0 <= received - at <= FIRED_BEFORE_SECONDS else received


def _events(incident: Mapping[str, Any], now: float) -> Iterator[_Span]:
    events = list(incident["events"])
    open_now = incident["closed_at"] is None
    for number, event in enumerate(events):
        at, kind = float(event["at"]), event["kind"]
        if event["step"] is None:
            plan, colon, _ = event["text"].partition(":")
            label = plan.replace("_", " ") if kind == "decided" and colon else kind
            named = "refused" if label == "refuse" or kind == "refused" else kind
            yield _Span(named, label, event["text"], at, at)
            continue
        what = f"{event['step']} on {event['host']}"
        if kind in ENDED:
            continue  # shown together with its start
        if kind != "started":
            yield _Span(_kind(kind), f"{what}: {kind.replace('_', ' ')}", event["text"], at, at)
            continue
        end = next((later for later in events[number + 1 :] if ends(event, later)), None)
        if end is not None:
            yield _Span(end["kind"], what, end["text"], at, float(end["at"]), is_bar=True)
        elif open_now and number == len(events) - 1:
            yield _Span("running", what, event["text"], at, max(at, now), is_bar=True)
        else:
            yield _Span("broken", what, "its end was not recorded", at, at)


def _kind(kind: str) -> str:
    return {"undo_failed": "failed"}.get(kind, kind)

"""What an incident comes to: who holds afterwards, how long it took, and what happened, from its events alone."""

from __future__ import annotations

from typing import Any

import pytest

from locum_actuator.journal.incident_summary import holder_after, impact, moments, sentence, title

ALERT = {
    "received_at": 1000.9, "name": "LocumServiceDown", "host": "a", "status": "firing",
    "starts_at": "1970-01-01T00:16:40.500Z", "verdict": "woke the worker, which looks again",
}  # fmt: skip


def event(
    at: float, kind: str, step: str | None = None, host: str | None = None, *, seconds: float | None = None,
    text: str = "it is so", data: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "at": at, "kind": kind, "step": step, "host": host, "text": text, "seconds": seconds, "data": data,
    }  # fmt: skip


def incident(*events: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": 5, "service": "www", "opened_at": 1001.0, "trigger": "LocumServiceDown", "holder_before": "a",
        "closed_at": 1003.0, "outcome": "takeover", "reason": "a is dead", "looks": 1, "alerts": [ALERT],
        "events": list(events), "planned": None, **fields,
    }  # fmt: skip


CLAIMED = (
    event(1001.5, "started", "claim", "b"),
    event(1002.0, "done", "claim", "b", seconds=0.5),
    event(1002.0, "started", "prove", "b"),
    event(1002.5, "done", "prove", "b", seconds=0.5),
)
ADOPT = event(1001.1, "decided", data={"kind": "adopt", "target": "b", "seen": {}})
HOLDERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "taken over": (incident(*CLAIMED), "b"),
    "nothing was done": (incident(), "a"),
    "no holder was known": (incident(holder_before=None), None),
    "a claim that was undone": (incident(CLAIMED[0], event(1002, "undone", "claim", "b")), "a"),
    "a claim that could not be undone": (incident(CLAIMED[0], event(1002, "undo_failed", "claim", "b")), "b"),
    "adopted": (incident(ADOPT), "b"),
    "a decision of an older version": (incident(event(1001, "decided", data={"plan": [], "seen": {}})), "a"),
    "two claims, the second undone": (
        incident(*CLAIMED, event(1004, "started", "claim", "c"), event(1005, "undone", "claim", "c")), "b",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("row", "holder"), HOLDERS.values(), ids=HOLDERS)
def test_who_holds_afterwards(row: dict[str, Any], holder: str | None) -> None:
    assert holder_after(row) == holder


RESPAWNED = event(1002.25, "done", "respawn", "a")
IMPACTS: dict[str, tuple[dict[str, Any], tuple[float, str, float | None]]] = {
    "from the alert to the proof": (incident(*CLAIMED), (1000.5, "LocumServiceDown", 2.0)),
    "a respawn is its own proof": (incident(RESPAWNED), (1000.5, "LocumServiceDown", 1.75)),
    "not proven at first": (incident(*CLAIMED[:2]), (1000.5, "LocumServiceDown", 2.5)),
    "nothing was done": (incident(outcome="nothing"), (1000.5, "LocumServiceDown", None)),
    "it is open": (incident(outcome=None, closed_at=None), (1000.5, "LocumServiceDown", None)),
    "no alert": (incident(*CLAIMED, alerts=[], trigger="patrol"), (1001.0, "patrol", 1.5)),
    "an alert without a time": (
        incident(*CLAIMED, alerts=[{**ALERT, "starts_at": "yesterday"}]), (1001.0, "LocumServiceDown", 1.5),
    ),
    "an alert without a zone": (
        incident(*CLAIMED, alerts=[{**ALERT, "starts_at": "1970-01-01T00:16:40"}]),
        (1001.0, "LocumServiceDown", 1.5),
    ),
    "a clock that is ahead": (
        incident(*CLAIMED, alerts=[{**ALERT, "starts_at": "1970-01-01T00:18:00Z"}]),
        (1080.0, "LocumServiceDown", 0.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), IMPACTS.values(), ids=IMPACTS)
def test_from_the_first_alert_to_the_proof(
    row: dict[str, Any], expected: tuple[float, str, float | None]
) -> None:
    found = impact(row)
    assert (found["begun_at"], found["begun_by"], found["seconds"]) == expected


MOVED = {"verb": "switchover", "target": "b", "asked_by": "anna", "reason": "new disks", "done": True}
SENTENCES: dict[str, tuple[dict[str, Any], str]] = {
    "a takeover": (
        incident(*CLAIMED), "locum was woken by LocumServiceDown; www taken over by b: a is dead.",
    ),
    "a planned move": (
        incident(*CLAIMED, outcome="switchover", planned=MOVED, reason="asked for"),
        "anna asked for a switchover (new disks); www moved from a to b as planned: asked for.",
    ),
    "many looks": (
        incident(outcome="nothing", looks=9, reason="it answers"),
        "locum was woken by LocumServiceDown; www: nothing was done, the last of 9 checks: it answers.",
    ),
    "open": (
        incident(event(1001, "decided", text="refuse: no witness answers"), outcome=None, closed_at=None),
        "locum was woken by LocumServiceDown, and is still working on it: refuse: no witness answers.",
    ),
    "a word of a later version": (
        incident(outcome="danced"), "locum was woken by LocumServiceDown; www: danced: a is dead.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), SENTENCES.values(), ids=SENTENCES)
def test_what_happened_in_a_sentence(row: dict[str, Any], expected: str) -> None:
    assert sentence(row) == expected
    assert title(row)


def test_its_moments_in_order() -> None:
    hook = event(1001.2, "hook", "claim", "b", text="before_claim failed: no")
    broken_off = event(1002.9, "started", "start", "b")
    row = incident(hook, *CLAIMED, broken_off)
    assert [(one.at, one.what, one.seconds, one.bad) for one in moments(row)] == [
        (1000.5, "alert", 0.0, False),
        (1000.9, "webhook", 0.0, False),
        (1001.2, "hook at claim", 0.0, True),
        (1002.0, "claim on b done", 0.5, False),
        (1002.5, "prove on b done", 0.5, False),
        (1002.9, "start on b started", 0.0, False),
        (1003.0, "closed", 0.0, False),
    ]

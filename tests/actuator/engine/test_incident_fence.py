"""Incidents that need fencing, on fake hosts with a real agent: what leads to it, and what if it fails."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from locum_actuator.domain.life import Life
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_inventory.site.model import Site
from tests.actuator.steps.fence_scripts import actions
from tests.actuator.steps.fenced_world import FencedWorld, fenced_world, with_fence


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FencedWorld:
    return fenced_world(monkeypatch, tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    return journal


def handle(world: FencedWorld, journal: Journal, values: Site, seconds: float = 10.0) -> dict[str, object]:
    """Handle an incident to its end, or for so many seconds."""
    metrics, ended = Metrics(), threading.Event()
    metrics.init_service("www", ("a", "b"))
    timer = threading.Timer(seconds, ended.set)
    timer.start()
    context = Context(values, "www", journal, metrics, world.gates, world)
    Incident(context, journal.open_incident("www", "LocumServiceDown")).handle(ended)
    timer.cancel()
    row: dict[str, object] = journal.incidents()[0]
    return row


def course(row: dict[str, object]) -> list[str]:
    events = row["events"]
    assert isinstance(events, list)
    return [f"{e['kind']} {e['step']}" if e["step"] else e["text"].split(":")[0] for e in events]


def test_a_release_that_is_not_confirmed_leads_to_fencing(
    world: FencedWorld, journal: Journal, tmp_path: Path
) -> None:
    world.gates["a"].refuse["release"] = "timeout"
    row = handle(world, journal, with_fence(tmp_path, "honest"))
    assert row["outcome"] == "takeover"
    assert course(row)[:5] == [
        "takeover",
        "started release",
        "failed release",
        "undone release",
        "started fence",
    ]
    assert actions(tmp_path) == ["status", "off", "status"]
    assert world.gates["b"].held
    assert journal.holder("www").host == "b"


def test_a_gate_that_is_silent_leads_to_fencing(world: FencedWorld, journal: Journal, tmp_path: Path) -> None:
    world.gates["a"].fault = "refused"
    row = handle(world, journal, with_fence(tmp_path, "honest"))
    assert row["outcome"] == "takeover"
    why = "a answers ping, but neither its gate (no answer) nor its service does (not proven from outside)"
    assert row["reason"] == why
    fenced = journal.fenced("a")
    assert fenced is not None
    assert fenced[1].endswith("it stays off until a person switches it on")


def test_a_fence_that_is_not_confirmed_is_no_fence_and_is_told(
    world: FencedWorld, journal: Journal, tmp_path: Path
) -> None:
    world.gates["a"].fault = "refused"
    row = handle(world, journal, with_fence(tmp_path, "dies"), seconds=1.5)
    assert row["outcome"] is None
    assert course(row) == ["takeover", "started fence", "failed fence", "refuse"]
    assert not world.gates["b"].held
    assert actions(tmp_path) == ["status", "off", "status"], "once, and not again for a while"
    assert journal.fenced("a") is None


def test_a_fenced_host_that_a_third_host_hears_again_is_not_taken_over(
    world: FencedWorld, journal: Journal, tmp_path: Path
) -> None:
    """It was off, and got its power back while the service started here (the campaign found it)."""
    world.gates["a"].fault = "timeout"
    world.heard_by_c.add("a")
    row = handle(world, journal, with_fence(tmp_path, "honest"), seconds=1.5)
    assert "failed confirm" in course(row)
    assert not world.gates["b"].held
    assert journal.holder("www").host == "a"


def test_a13_a_service_that_answers_when_its_host_is_asked_once_more_keeps_its_host_on(
    world: FencedWorld, journal: Journal, tmp_path: Path
) -> None:
    """Its sshd hangs, and the service was silent in the check for no more than a moment."""
    world.gates["a"].fault = "timeout"
    world.lives["a"] = Life(None, ("www",))
    handle(world, journal, with_fence(tmp_path, "honest"), seconds=0.5)
    assert actions(tmp_path) == []
    assert world.gates["a"].held
    assert not world.gates["b"].held

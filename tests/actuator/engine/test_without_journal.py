"""A journal that is full, old or from another version: no address stays on two hosts for it (A4)."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from locum_actuator.decision.epochs import highest_epoch
from locum_actuator.decision.failover import decide
from locum_actuator.domain.situation import Memory
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.engine.without_journal import release_wrong_holder
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.schema import VERSIONS
from locum_actuator.metrics import Metrics
from tests.actuator.fakes import FakeGate, FakeWorld, host, site, situation
from tests.actuator.shortcuts import in_no_time, kernel_of
from tests.support.polling import wait_for

SERVICE = site().services["www"]
OF_0_1_0 = 5  # the schema of locum 0.1.0


def is_full(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every write of a journal fail, as on a full disk; it can still be read."""

    def write() -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(journal, "_write", write)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "b", 5)
    return journal


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FakeWorld:
    """b took over and serves; a has booted, with the address in its boot configuration."""
    world = FakeWorld(
        {"a": FakeGate(held=True, processes=0, epoch=4), "b": FakeGate(held=True, processes=3, epoch=5)}
    )
    kernel_of(world.gates["b"], monkeypatch)
    in_no_time(monkeypatch)
    return world


def test_a4_the_wrong_host_of_two_is_released_though_the_journal_is_full(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full(journal, monkeypatch)
    assert release_wrong_holder(Context(site(), "www", journal, Metrics(), world.gates, world))
    assert (world.gates["a"].held, world.gates["b"].held) == (False, True)
    assert world.gates["b"].calls == []


def test_a4_by_the_epochs_of_the_gates_where_the_journal_is_full_and_old(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It still names a, as before the takeover: b, which serves, keeps the address."""
    with journal._write() as db:
        db.execute("UPDATE holders SET host='a', epoch=4")
    is_full(journal, monkeypatch)
    assert release_wrong_holder(Context(site(), "www", journal, Metrics(), world.gates, world))
    assert (world.gates["a"].held, world.gates["b"].held) == (False, True)


def test_a4_a_worker_does_so_by_itself(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full(journal, monkeypatch)
    worker = Worker(Context(site(), "www", journal, Metrics(), world.gates, world))
    worker.start()
    try:
        wait_for(lambda: not world.gates["a"].held, "a holds the address no more")
    finally:
        worker.end()
        worker.join(10)
    assert world.gates["b"].held


def _one_holder(world: FakeWorld) -> None:
    world.gates["a"].held = False


def _no_holder(world: FakeWorld) -> None:
    world.gates["a"].held = world.gates["b"].held = False


def _other_dead(world: FakeWorld) -> None:
    world.dead.add("a")


QUIET = {"one holder": _one_holder, "no holder": _no_holder, "the other one is dead": _other_dead}


@pytest.mark.parametrize("change", QUIET.values(), ids=QUIET)
def test_a4_nothing_else_is_done_without_a_journal(
    change: Callable[[FakeWorld], None],
    world: FakeWorld,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(world)
    is_full(journal, monkeypatch)
    assert not release_wrong_holder(Context(site(), "www", journal, Metrics(), world.gates, world))
    assert world.gates["a"].calls == world.gates["b"].calls == []


def test_a4_nothing_is_done_where_the_journal_cannot_be_read(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*words: object) -> None:
        raise JournalError("it cannot be read")

    monkeypatch.setattr(journal, "_read", read)
    context = Context(site(), "www", journal, Metrics(), world.gates, world)
    monkeypatch.setattr(journal, "holder", read)
    assert not release_wrong_holder(context)


def test_a4_nothing_is_released_without_a_journal_where_a_person_paused_it(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.pauses.begin("www", 3600.0, "work on the switch")
    is_full(journal, monkeypatch)
    assert not release_wrong_holder(Context(site(), "www", journal, Metrics(), world.gates, world))
    assert world.gates["a"].held


EPOCHS = {
    # epochs of a and b, the journal's, who it names -> who is adopted
    "b is newer": (4, 5, 4, "a", "b"),
    "b is newer, and the journal names it": (4, 5, 4, "b", None),
    "the journal knows": (4, 5, 5, "a", None),
    "the journal is ahead": (4, 5, 6, "a", None),
    "neither is newer than the other": (5, 5, 4, "a", None),
    "a damaged epoch": (4, 9 * 10**17, 4, "a", None),
}


@pytest.mark.parametrize(("a", "b", "known", "named", "adopted"), EPOCHS.values(), ids=EPOCHS)
def test_a4_what_the_gates_know_beats_an_older_journal(
    a: int, b: int, known: int, named: str, adopted: str | None
) -> None:
    both = situation(
        host("a", serves=True, holds=True, processes=3, epoch=a),
        host("b", serves=True, holds=True, processes=3, epoch=b),
    )
    plan = decide(both, Memory(named, known), SERVICE)
    assert (plan.target if plan.kind == "adopt" else None) == adopted
    assert adopted is not None or plan.code == "held_twice"


def test_a4_a_restored_journal_is_brought_up_to_date_and_the_other_host_released(
    world: FakeWorld, journal: Journal
) -> None:
    with journal._write() as db:
        db.execute("UPDATE holders SET host='a', epoch=1")
    context = Context(site(), "www", journal, Metrics(), world.gates, world)
    Incident(context, journal.open_incident("www", "patrol")).handle(threading.Event())
    assert (world.gates["a"].held, world.gates["b"].held) == (False, True)
    assert (journal.holder("www").host, journal.holder("www").epoch >= 5) == ("b", True)


def test_a4_the_gate_of_the_actuators_host_learns_the_epoch_of_a_claim_over_netlink(
    world: FakeWorld, journal: Journal
) -> None:
    for gate in world.gates.values():
        gate.held = False
    world.dead.add("a")
    context = Context(site(), "www", journal, Metrics(), world.gates, world)
    Incident(context, journal.open_incident("www", "patrol")).handle(threading.Event())
    assert world.gates["b"].held
    wait_for(
        lambda: world.gates["b"].epoch == journal.holder("www").epoch, "b's gate has the epoch of the claim"
    )


def test_b8_a_damaged_epoch_of_a_gate_is_no_epoch_of_the_journal() -> None:
    seen = situation(host("a", epoch=9 * 10**17), host("b", epoch=6))
    assert highest_epoch(seen, 5) == 6
    assert highest_epoch(replace(seen, hosts={}), 5) == 5
    assert highest_epoch(situation(host("a", epoch=1_000_005)), 5) == 1_000_005


def test_a_journal_of_0_1_0_with_an_open_incident_is_taken_up(world: FakeWorld, tmp_path: Path) -> None:
    """Killed in the middle of a takeover, upgraded, and started again."""
    path = tmp_path / "old" / "journal.sqlite"
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        for script in VERSIONS[:OF_0_1_0]:
            db.executescript(script)
        db.execute(f"PRAGMA user_version={OF_0_1_0}")
        db.execute("INSERT INTO holders VALUES ('www', 'a', 3, 1.0)")
        db.execute(
            "INSERT INTO incidents (service, opened_at, trigger, holder_before) VALUES ('www', 1.0, 'x', 'a')"
        )
        db.execute(
            "INSERT INTO alerts (received_at, name, service, host, status, verdict, incident)"
            " VALUES (1.0, 'LocumServiceDown', 'www', 'a', 'firing', 'woke', 1)"
        )
        for kind, step in (
            ("decided", None),
            ("started", "release"),
            ("done", "release"),
            ("started", "start"),
        ):
            db.execute(
                "INSERT INTO events (incident, at, kind, step, host, text) VALUES (1, 1.0, ?, ?, 'b', '')",
                (kind, step),
            )
        db.execute("INSERT INTO takeovers (service, at, incident) VALUES ('www', 1.0, 1)")
    db.close()
    world.gates["a"].held, world.gates["a"].processes = False, 0
    world.gates["b"].held = False
    journal = Journal(path)
    assert journal.open_incidents() == {"www": 1}
    context = Context(site(), "www", journal, Metrics(), world.gates, world)
    Incident(context, journal.open_incident("www", "start-up")).handle(threading.Event())
    (row,) = journal.incidents()
    assert "interrupted in the middle of start on b" in row["reason"]
    assert sum(gate.held for gate in world.gates.values()) == 1
    journal.close()

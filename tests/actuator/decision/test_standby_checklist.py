"""What a host must go through before it is a standby, and when a service goes back automatically."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from locum_actuator.decision.standby_checklist import (
    Item,
    LastPatrol,
    Name,
    checklist,
    is_complete,
    obstacles,
)
from locum_actuator.domain.mirror_run import NO_WISH, MirrorResult, NoMirrors, RunOptions
from locum_actuator.domain.plan import Move
from locum_actuator.domain.situation import Copy
from locum_actuator.engine.auto_failback import AutoFailback, Moment, held_back
from locum_actuator.engine.context import Context
from locum_actuator.engine.move_requests import MoveRequests, Progress
from locum_actuator.engine.patrol import Patrol
from locum_actuator.engine.standby_resync import StandbyResync, is_home
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.moves import MoveDone
from locum_actuator.metrics import Metrics
from locum_inventory.gate.host_file import gate_version, host_file_sha256
from locum_inventory.gate.protocol import GateStatus, ServiceStatus
from locum_inventory.site.model import Failback, Mirror, Service, Site
from tests.actuator.fakes import ADDRESS, FakeGate, FakeWorld, site
from tests.support.set_time import SetTime, set_time

OFF = ServiceStatus(1, {ADDRESS: False}, 0)
SHA = host_file_sha256(site(), "a")
SOUND = LastPatrol(GateStatus(gate_version(), SHA, {"www": OFF}))
FRESH = Copy(60.0, stale=False, text="a copy of 60 s ago (run 20260101040000)")
OLD = Copy(200000.0, stale=True, text="a copy of 55 h ago (run 20260101040000)")


def seen(status: ServiceStatus) -> LastPatrol:
    return LastPatrol(GateStatus(gate_version(), SHA, {"www": status}))


OPEN: dict[str, tuple[LastPatrol | None, Copy | None, bool, str, bool | None, str]] = {
    "not asked": (None, None, False, "reachable", None, "not asked yet"),
    "off": (
        LastPatrol(None, "no answer", 0), None, False, "reachable", False,
        "it does not answer a ping: switch it on, or repair the line",
    ),
    "not pinged": (LastPatrol(None, "no answer"), None, False, "reachable", None, "it could not be pinged"),
    "gate silent": (
        LastPatrol(None, "a: connection refused", 5), None, False, "gate", False,
        "a: connection refused: locum keeps asking",
    ),
    "an older gate": (
        LastPatrol(GateStatus("0", SHA, {"www": OFF})), None, False, "current", False,
        f"its gate is of version 0, and this locum's is {gate_version()}: run `locum enrol a`",
    ),
    "another site file": (
        LastPatrol(GateStatus(gate_version(), "0" * 64, {"www": OFF})), None, False, "current", False,
        "its gate's configuration was generated from a different site file: run `locum enrol a`",
    ),
    "the address": (
        seen(ServiceStatus(1, {ADDRESS: True, ip_address("192.0.2.101"): False}, 0)), None, False, "address",
        False, "it holds 192.0.2.100: locum releases it",
    ),
    "the service runs": (
        seen(replace(OFF, processes=4)), None, False, "service", False,
        "4 processes run: locum stops them on a host that returns; otherwise stop them there",
    ),
    "old data": (
        SOUND, OLD, False, "data", False,
        "it has a copy of 55 h ago (run 20260101040000): run `locum mirror www`",
    ),
    "data of its own": (
        SOUND, FRESH, True, "newer", False,
        "its last writes before the takeover may exist nowhere else: a person must decide what happens to them "
        "(--discard-changes-on a)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("looked", "copy", "unseen", "name", "ok", "text"), OPEN.values(), ids=OPEN)
def test_what_is_open_is_said(
    looked: LastPatrol | None, copy: Copy | None, unseen: bool, name: str, ok: bool | None, text: str
) -> None:
    items = checklist(site(), "www", "a", looked, copy, unseen=unseen)
    assert not is_complete(items)
    assert next((item.name, item.ok, item.text) for item in items if not item.ok) == (name, ok, text)


def test_a_standby() -> None:
    items = checklist(site(), "www", "a", SOUND, FRESH)
    assert is_complete(items)
    assert [item.name for item in items] == [
        "reachable", "gate", "current", "address", "service", "data", "newer",
    ]  # fmt: skip
    assert [item.name for item in checklist(site(), "www", "a", SOUND, None)][-1] == "service", "no mirror"


def test_what_runs_everywhere_must_run() -> None:
    values = site()
    service = values.services["www"].model_copy(update={"standby": "running"})
    running = values.model_copy(update={"services": {"www": service}})
    gate = GateStatus(gate_version(), host_file_sha256(running, "a"), {"www": OFF})
    items = checklist(running, "www", "a", LastPatrol(gate), None)
    assert items[-1] == Item("service", False, "no process runs, and one should: start the service there")


def test_only_a_gate_that_is_not_current_stands_in_the_way_of_a_move() -> None:
    """Address, service and data the move itself sees to; and a silent gate its own look finds."""
    drifted = checklist(site(), "www", "a", LastPatrol(GateStatus("0", SHA, {"www": OFF})), OLD)
    assert len(obstacles(drifted)) == 1
    assert obstacles(checklist(site(), "www", "a", seen(replace(OFF, processes=4)), OLD)) == ()


# -- back automatically -----------------------------------------------------------------------------------------

ITEMS = (Item("gate", True, "its gate answers"),)
WELL = Moment(ITEMS, None, None)
NIGHT = datetime(2026, 1, 1, 3, 0)
NOON = datetime(2026, 1, 1, 12, 0)


def service(**failback: object) -> Service:
    update = {"failback": Failback.model_validate({"mode": "auto", **failback})}
    return site().services["www"].model_copy(update=update)


def done(asked_by: str | None) -> MoveDone:
    return MoveDone(1, "failback", "a", asked_by, 0.0)


HELD_BACK: dict[str, tuple[Service, Moment, float, datetime, str | None]] = {
    "it goes": (service(), WELL, 1800.0, NOON, None),
    "manual": (
        service(mode="manual"), WELL, 1800.0, NOON, "a person has to move it back to a: `locum failback`",
    ),
    "not for long enough": (service(), WELL, 1790.0, NOON, "a has to stay a standby for another 10 s"),
    "not at this time": (
        service(window="02:00-05:00"), WELL, 1800.0, NOON, "it is moved back only between 02:00-05:00",
    ),
    "at this time": (service(window="02:00-05:00"), WELL, 1800.0, NIGHT, None),
    "a window over midnight": (service(window="22:00-04:00"), WELL, 1800.0, NIGHT, None),
    "after that window": (
        service(window="22:00-04:00"), WELL, 1800.0, NOON, "it is moved back only between 22:00-04:00",
    ),
    "twice in a row": (
        service(), replace(WELL, last=done(None)), 1800.0, NOON,
        "locum moved it back to a before, and it failed over again: a person must move it now",
    ),
    "after a person's": (service(), replace(WELL, last=done("anna")), 1800.0, NOON, None),
    "no standby": (
        service(), replace(WELL, items=(*ITEMS, Item("data", False, "it has no copy"))), 1800.0, NOON,
        "a is not a standby yet: it has no copy",
    ),
    "an incident": (service(), replace(WELL, busy="incident 7 is open"), 1800.0, NOON, "incident 7 is open"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "moment", "sound", "now", "why"), HELD_BACK.values(), ids=HELD_BACK)
def test_what_holds_a_failback_back(
    values: Service, moment: Moment, sound: float, now: datetime, why: str | None
) -> None:
    assert held_back(values, moment, sound, now) == why


class Begun(MoveRequests):
    """A mover that only says what it was asked for."""

    def __init__(self) -> None:
        super().__init__(dict)
        self.moves: list[Move] = []

    def begin(self, service: str, move: Move) -> Progress:
        self.moves.append(move)
        return Progress(1, service, move)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "b", 1)
    yield journal
    journal.close()


@pytest.fixture
def clocks() -> Iterator[SetTime]:
    with set_time(NOON.timestamp()) as clocks:
        yield clocks


def auto(values: Site) -> Site:
    return values.model_copy(update={"services": {"www": service(after="10m")}})


def test_by_itself_after_ten_minutes_without_a_break(journal: Journal, clocks: SetTime) -> None:
    world = FakeWorld({"a": FakeGate(), "b": FakeGate(held=True, processes=3, epoch=1)})
    worker = Worker(Context(auto(site()), "www", journal, Metrics(), world.gates, world))
    move_requests = Begun()
    watch = AutoFailback(lambda: {"www": worker}, move_requests)

    def look(at: float) -> str | None:
        clocks.steady = at
        worker.patrol.round()
        watch.tick()
        return watch.words("www")

    assert look(0) == "a has to stay a standby for another 600 s"
    world.gates["a"].fault = "unreachable"
    assert look(500) == "a is not a standby yet: gate unreachable: locum keeps asking"
    world.gates["a"].fault = None
    assert look(510) == "a has to stay a standby for another 590 s"
    assert look(1099) == "a has to stay a standby for another 1 s"
    assert move_requests.moves == []
    assert look(1100) == "it is being moved back"
    assert move_requests.moves == [Move("failback", reason="failback: auto")]
    assert look(1101) == "a has to stay a standby for another 599 s", (
        "where it does not work it waits as long again"
    )
    number = journal.open_incident("www", "failback")
    journal.moves.begin(number, "www", move_requests.moves[0])
    journal.moves.done(number, "a")
    journal.close_incident(number, "failback", "it worked")
    journal.set_holder("www", "a", 2)
    assert look(1102) is None
    journal.set_holder("www", "b", 3)
    assert str(look(9999)).endswith("a person must move it now")
    assert len(move_requests.moves) == 1


def test_the_patrol_makes_the_checklist(journal: Journal) -> None:
    world = FakeWorld({"a": FakeGate(), "b": FakeGate(held=True, processes=3, epoch=1)})
    patrol = Patrol(Context(site(), "www", journal, Metrics(), world.gates, world))
    assert patrol.checklists() == {"a": (Item("reachable", None, "not asked yet"),)}
    patrol.round()
    assert is_complete(patrol.checklists()["a"])
    world.gates["a"].fault = "refused"
    world.dead.add("a")
    patrol.round()
    assert [(item.name, item.ok) for item in patrol.checklists()["a"]] == [
        ("reachable", False),
        ("gate", False),
    ]


def test_it_ends_when_it_is_told_to(journal: Journal) -> None:
    watch = AutoFailback(dict, Begun())
    watch.start()
    watch.end()
    watch.join(5)
    assert not watch.is_alive()


# -- mirrored onto when it is back -----------------------------------------------------------------------------

HOME: dict[str, tuple[dict[str, bool | None], bool]] = {
    "back, and only its data are open": ({"data": False, "newer": False}, True),
    "back, and fresh enough": ({"data": True, "newer": False}, True),
    "never lost the service": ({"data": False, "newer": True}, False),
    "its service still runs": ({"service": False, "newer": False}, False),
    "its gate is silent": ({"gate": False, "newer": False}, False),
    "no vantage point could check": ({"reachable": None, "newer": False}, False),
    "a standby": ({"data": True, "newer": True}, False),
}


@pytest.mark.parametrize(("answers", "home"), HOME.values(), ids=HOME)
def test_who_has_come_home(answers: dict[Name, bool | None], home: bool) -> None:
    assert is_home(tuple(Item(name, ok, "") for name, ok in answers.items())) == home


class Runs(NoMirrors):
    """Mirrors that only say what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def run(self, service: str, source: str, destination: str, wish: RunOptions = NO_WISH) -> MirrorResult:
        self.asked.append((source, destination))
        return MirrorResult(service, source, destination, 1, "refused", "it has changed", 0.0, 0.0)


def test_mirrored_onto_once_for_each_time_it_lost_the_service(journal: Journal) -> None:
    values = site()
    service = values.services["www"].model_copy(update={"mirror": Mirror(source=Path("/srv/www"))})
    values = values.model_copy(update={"services": {"www": service}})
    world = FakeWorld({"a": FakeGate(), "b": FakeGate(held=True, processes=3, epoch=1)})
    world.gates["a"].config = host_file_sha256(values, "a")
    runs = Runs()
    worker = Worker(Context(values, "www", journal, Metrics(), world.gates, world, mirrors=runs))
    homecoming = StandbyResync(lambda: {"www": worker})

    def asked() -> int:
        worker.patrol.round()
        homecoming.tick()
        time.sleep(0.05)
        return len(runs.asked)

    assert asked() == 0, "it never lost the service"
    journal.set_holder("www", "a", 1)
    number = journal.open_incident("www", "LocumServiceDown")
    journal.counts.count_takeover("www", number)
    journal.set_holder("www", "b", 2)
    journal.counts.takeover_done("www", number)
    assert asked() == 1
    assert runs.asked == [("b", "a")]
    assert asked() == 1, "refused once: a person is asked"
    journal.pauses.begin("www", 600, "new kernel")
    journal.set_epoch("www", 3)
    assert asked() == 1, "paused"
    journal.pauses.end("www")
    assert asked() == 2

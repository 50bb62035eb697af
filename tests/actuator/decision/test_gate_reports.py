"""What gates report decides who can be given a service: addresses (A10), interface (B9), MACs (B10)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.decision.fitness import why_drifted, why_unfit
from locum_actuator.decision.planned_move import decide_move
from locum_actuator.decision.standby_checklist import LastPatrol, checklist, obstacles
from locum_actuator.domain.plan import Move
from locum_actuator.domain.situation import Memory
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.engine.patrol import Patrol
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_inventory.gate.host_file import host_file_sha256
from locum_inventory.gate.host_macs import HostMacs
from locum_inventory.gate.protocol import Link, ServiceStatus
from tests.actuator.fakes import ADDRESS, FakeGate, FakeWorld, host, site, situation
from tests.actuator.shortcuts import in_no_time, kernel_of

SERVICE = site().services["www"]
OLD_ADDRESS = (ip_interface("192.0.2.99/24"),)
DRIFT = "its gate knows 192.0.2.99/24 for www, and the site file says 192.0.2.100/24: run `locum enrol a`"
UNFIT = {
    "sound": ({}, None),
    "version 1": ({"version": "1"}, "its gate is of version 1: run `locum enrol a`"),
    "another address": ({"addresses": OLD_ADDRESS}, DRIFT),
    "another prefix length": (
        {"addresses": (ip_interface("192.0.2.100/25"),)},
        "its gate knows 192.0.2.100/25 for www, and the site file says 192.0.2.100/24: run `locum enrol a`",
    ),
    "an address more": (
        {"addresses": (ip_interface("192.0.2.100/24"), *OLD_ADDRESS)},
        "its gate knows 192.0.2.100/24, 192.0.2.99/24 for www, and the site file says 192.0.2.100/24: "
        "run `locum enrol a`",
    ),
    "another interface in its host file": (
        {"interface": "eth1"}, "its gate puts www on eth1, and the site file says eth0: run `locum enrol a`",
    ),
    "no such interface": (
        {"links": {"lo": Link("up"), "eth1": Link("up")}}, "it has no interface eth0 (it has eth1)",
    ),
    "its interface is down": ({"links": {"eth0": Link("down")}}, "its interface eth0 is down"),
    "its cable is out": ({"links": {"eth0": Link("no_carrier")}}, "its interface eth0 has no carrier"),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "why"), UNFIT.values(), ids=UNFIT)
def test_a10_b9_what_a_gate_reports_says_whether_its_host_can_be_given_the_service(
    fields: dict[str, object], why: str | None
) -> None:
    gate = FakeGate(**fields).status(deadline_seconds=1)  # type: ignore[arg-type]
    assert why_unfit("www", SERVICE, "a", gate) == why


def test_a10_a_gate_of_version_1_shows_other_addresses_too() -> None:
    of_version_1 = ServiceStatus(1, {OLD_ADDRESS[0].ip: True}, 3)
    assert why_drifted("www", SERVICE, "a", of_version_1) == DRIFT.replace("99/24", "99")
    assert why_drifted("www", SERVICE, "a", ServiceStatus(1, {ADDRESS: True}, 3)) is None


def test_b9_a_host_without_the_interface_cannot_stand_in() -> None:
    unfit = replace(host("b", echoes=(20, 20)), unfit="it has no interface eth0 (it has eth1)")
    hung = host("a", holds=True, processes=3, echoes=(20, 20))
    plan = decide(situation(hung, unfit), Memory("a", 1), SERVICE)
    assert (plan.kind, plan.code) == ("refuse", "no_standby")
    assert "b: it has no interface eth0 (it has eth1)" in plan.reason
    well = host("a", serves=True, holds=True, processes=3, echoes=(20, 20))
    move = Move("switchover", "b", asked_by="anna")
    moved = decide_move(move, situation(well, unfit), Memory("a", 1), SERVICE)
    assert moved.reason == "b cannot take over: it has no interface eth0 (it has eth1)"


def test_a10_a_release_over_a_gate_that_does_not_know_the_address_is_no_proof() -> None:
    """a was forgotten when the address changed: it would release the old one and say that all is off."""
    hung = replace(host("a", holds=True, processes=3, echoes=(20, 20)), drift=DRIFT, unfit=DRIFT)
    plan = decide(situation(hung, host("b", echoes=(20, 20))), Memory("a", 1), SERVICE)
    assert (plan.kind, plan.code, plan.steps) == ("refuse", "unfit", ())
    assert f"a release of a would prove nothing: {DRIFT}" in plan.reason


def test_a10_a_host_that_holds_twice_is_released_though_the_holder_cannot_be_given_anything() -> None:
    holder = replace(host("a", serves=True, holds=True, processes=3), unfit="its interface eth0 is down")
    plan = decide(situation(holder, host("b", holds=True)), Memory("a", 1), SERVICE)
    assert (plan.kind, [str(step) for step in plan.steps]) == ("release", ["release on b"])


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    return journal


@pytest.mark.parametrize("fields", [{"addresses": OLD_ADDRESS}, {"version": "1"}], ids=["drift", "version 1"])
def test_a10_nothing_is_given_over_such_a_gate_whatever_was_decided(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, fields: dict[str, object]
) -> None:
    """The fake world's look knows nothing of it: the step itself asks."""
    world = FakeWorld({"a": FakeGate(epoch=1, **fields), "b": FakeGate()})  # type: ignore[arg-type]
    world.gates["b"].fault = "timeout"
    kernel_of(world.gates["b"], monkeypatch)
    in_no_time(monkeypatch)
    import threading

    ended = threading.Event()
    threading.Timer(0.3, ended.set).start()
    context = Context(site(), "www", journal, Metrics(), world.gates, world)
    Incident(context, journal.open_incident("www", "x")).handle(ended)
    assert "start" not in world.gates["a"].calls
    assert "claim" not in world.gates["a"].calls
    texts = [
        event["text"] for row in journal.incidents() for event in row["events"] if event["kind"] == "failed"
    ]
    assert any("run `locum enrol a`" in text for text in texts), texts


def test_a_gate_of_version_1_is_released_and_respawned_over_in_the_old_form(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = FakeWorld({"a": FakeGate(held=True, processes=0, epoch=1, version="1"), "b": FakeGate()})
    kernel_of(world.gates["b"], monkeypatch)
    in_no_time(monkeypatch)
    import threading

    context = Context(site(), "www", journal, Metrics(), world.gates, world)
    Incident(context, journal.open_incident("www", "x")).handle(threading.Event())
    assert world.gates["a"].calls == ["respawn"]
    world.hung.add("a")
    Incident(context, journal.open_incident("www", "y")).handle(threading.Event())
    assert world.gates["a"].calls[-1] == "release"
    assert (world.gates["a"].held, world.gates["b"].held) == (False, True)


def test_a10_b9_status_metrics_and_planned_moves_know_of_it(journal: Journal) -> None:
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate(links={})})
    metrics = Metrics()
    patrol = Patrol(Context(site(), "www", journal, metrics, world.gates, world))
    patrol.round()
    why = "it has no interface eth0 (it has none)"
    assert patrol.seen["b"] == f"does not hold the address, 0 processes; cannot be given the service: {why}"
    assert not patrol.standby_available, "the only other host could not hold the address"
    unfit = metrics.registry.get_sample_value
    assert unfit("locum_actuator_host_unfit", {"service": "www", "host": "b"}) == 1
    assert unfit("locum_actuator_host_unfit", {"service": "www", "host": "a"}) == 0
    items = checklist(site(), "www", "b", patrol.gates["b"], None)
    assert obstacles(items) == (why,)
    gate = replace(world.gates["b"].status(deadline_seconds=1), config_sha256=host_file_sha256(site(), "b"))
    assert (
        obstacles(checklist(site(), "www", "b", LastPatrol(replace(gate, links={"eth0": Link("up")})), None))
        == ()
    )


def test_b10_a_mac_belongs_to_the_one_host_whose_gate_reports_it() -> None:
    macs = HostMacs()
    macs.learn("a", frozenset({"02:00:00:00:00:01", "02:00:00:00:00:02", "02:42:00:00:00:01"}))
    macs.learn("b", frozenset({"02:00:00:00:00:03", "02:42:00:00:00:01"}))
    assert macs.owner("02:00:00:00:00:02") == "a"
    assert macs.owner("02:42:00:00:00:01") is None, "a virtual bridge has it on both"
    assert macs.owner("02:00:00:00:00:09") is None
    macs.learn("a", frozenset())  # a gate of version 1 reports none
    assert macs.owner("02:00:00:00:00:02") == "a"

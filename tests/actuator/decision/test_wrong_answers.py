"""A service that answers, but not as expected, is another fault than one that is silent."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.decision.planned_move import decide_move
from locum_actuator.domain.plan import Move
from locum_actuator.domain.situation import CheckOutcome, HostView, Memory, Situation
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps import first_answer
from locum_exporter.result import REASON_CLASSES, Outcome, Reason
from locum_inventory.site.model import Service, Site
from tests.actuator.fakes import FakeGate, FakeWorld, host, outcome, site, situation
from tests.actuator.shortcuts import in_no_time, kernel_of
from tests.support.polling import wait_for

TEXTS = {
    "status": "answered 500, expected 200",
    "tls": "the certificate is not accepted: certificate has expired",
}


def wrong_site(standby: str = "stopped", **takeover: object) -> Site:
    values: dict[str, Any] = site(**takeover).model_dump(mode="json")
    values["services"]["www"]["standby"] = standby
    values["services"]["www"]["commands"]["respawn"] = "apachectl restart"
    return Site.model_validate(values)


def a(reason: str | None = None, **more: Any) -> HostView:
    return host("a", holds=True, processes=3, age=1000.0, reason=reason, **more)


MEMORY = Memory("a", 1)
TELLS = {"when_unexpected": "tell"}
TAKES = {"when_unexpected": "takeover"}
RESTARTS = {"when_unexpected": "restart"}
SERVES = host("b", serves=True, processes=3)

Row = tuple[Situation, Memory, dict[str, Any], tuple[str, str]]
ROWS: dict[str, Row] = {
    "silent": (situation(a("timeout"), host("b")), MEMORY, {}, ("takeover", "takeover")),
    "a wrong status": (situation(a("status"), host("b")), MEMORY, {}, ("takeover", "unexpected")),
    "a wrong body": (situation(a("body"), host("b")), MEMORY, {}, ("takeover", "unexpected")),
    "a bad certificate": (situation(a("tls"), host("b")), MEMORY, {}, ("refuse", "malformed")),
    "not in its protocol": (situation(a("protocol"), host("b")), MEMORY, {}, ("refuse", "malformed")),
    "beyond what locum reads": (situation(
        replace(a(), looks=(CheckOutcome("b", Outcome.NOT_LOOKED, "too long", "limit"),)), host("b")),
        MEMORY, {}, ("keep_looking", "could_not_look")),
    "tell holds for a status": (situation(a("status"), host("b")), MEMORY, TELLS, ("refuse", "unexpected")),
    "takeover holds for a certificate": (situation(a("tls"), host("b")), MEMORY, TAKES, ("takeover", "malformed")),
    "restart: restart first": (situation(a("status"), host("b")), MEMORY, RESTARTS, ("respawn", "unexpected")),
    "restart, tried: take over": (
        situation(a("tls"), host("b")), replace(MEMORY, tried=frozenset({"respawn:a"})), RESTARTS,
        ("takeover", "malformed"),
    ),
    "the lost echoes of a host that answers say nothing": (
        situation(a("status", echoes=(2, 5)), host("b")), MEMORY, {}, ("takeover", "unexpected"),
    ),
    "a young start is starting, whatever it answers": (
        situation(a("status"), host("b")), replace(MEMORY, starting={"a": 3.0}), {}, ("keep_looking", "starting"),
    ),
    "one vantage point gets the answer": (
        situation(
            replace(a("tls"), looks=(*a("tls").looks, CheckOutcome("c", outcome(True), "answers"))), host("b")
        ),
        MEMORY, {}, ("nothing", "well"),
    ),
    "the process has gone: that is no answer": (
        situation(replace(a("status"), processes=0), host("b")), MEMORY, TELLS, ("respawn", "absent"),
    ),
    "standby running, and it answers well": (
        situation(a("status"), SERVES), MEMORY, {"standby": "running"}, ("takeover", "unexpected"),
    ),
    "standby running, and it answers the same": (
        situation(a("status"), host("b", processes=3, reason="status")), MEMORY, {"standby": "running"},
        ("refuse", "same_answer"),
    ),
    "standby running, and it has the same certificate": (
        situation(a("tls"), host("b", processes=3, reason="tls")), MEMORY, {"standby": "running", **TAKES},
        ("refuse", "same_answer"),
    ),
    "standby running, and it is silent": (
        situation(a("status"), host("b", processes=3, reason="timeout")), MEMORY, {"standby": "running"},
        ("refuse", "no_standby"),
    ),
    "the standby was started and answered the same": (
        situation(a("status"), host("b")), replace(MEMORY, same_answer=frozenset({"b"})), {},
        ("refuse", "same_answer"),
    ),
    "the standby answered the same, and now the holder is silent": (
        situation(a("timeout"), host("b")), replace(MEMORY, same_answer=frozenset({"b"})), {},
        ("takeover", "takeover"),
    ),
    "gate silent, fenceable, a wrong status": (
        situation(a("status", gate="no answer", fenceable=True), host("b"), holders=("a",)), MEMORY, {},
        ("takeover", "unexpected"),
    ),
    "gate silent, fenceable, a bad certificate": (
        situation(a("tls", gate="no answer", fenceable=True), host("b"), holders=("a",)), MEMORY, {},
        ("refuse", "malformed"),
    ),
    "gate silent and no echo, but it answers: it is alive": (
        situation(a("status", gate="no answer", echoes=(0, 20)), host("b")), MEMORY, {}, ("refuse", "unfenced"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_c2_table(row: str) -> None:
    seen, memory, values, wanted = ROWS[row]
    plan = decide(seen, memory, wrong_site(**values).services["www"])
    assert (plan.kind, plan.code) == wanted, plan.reason
    if plan.code in {"unexpected", "malformed", "same_answer"}:
        assert "does not answer" not in plan.reason
        assert "answers" in plan.reason


@pytest.mark.parametrize("reason", REASON_CLASSES)
def test_c2_every_reason_leads_to_the_policy_of_its_class(reason: Reason) -> None:
    service: Service = wrong_site(**TELLS).services["www"]
    kind = REASON_CLASSES[reason]
    view = a(reason)
    if kind == "not_looked":
        view = replace(view, looks=(CheckOutcome("b", Outcome.NOT_LOOKED, "could not check", reason),))
    plan = decide(situation(view, host("b")), MEMORY, service)
    wanted = {
        "silent": ("takeover", "takeover"),
        "unexpected": ("refuse", "unexpected"),
        "malformed": ("refuse", "malformed"),
        "not_looked": ("keep_looking", "could_not_look"),
    }[kind]
    assert (plan.kind, plan.code) == wanted


def test_c2_no_planned_move_begins_while_the_answer_is_wrong() -> None:
    plan = decide_move(
        Move("switchover", "b", "anna"),
        situation(a("status"), host("b")),
        MEMORY,
        wrong_site().services["www"],
    )
    assert (plan.kind, plan.code) == ("refuse", "not_well")
    assert "does not answer as expected" in plan.reason


@dataclass
class WrongWorld(FakeWorld):
    """Hosts whose service answers, and not as expected."""

    wrong: dict[str, str] = field(default_factory=dict)  # host -> reason

    def service_on(self, service: str, host: str) -> CheckOutcome:
        reason = self.wrong.get(host)
        if reason is None or not self._runs(host):
            return super().service_on(service, host)
        return CheckOutcome("b", outcome(False), TEXTS[reason], reason)

    def situation(self, service: str) -> Situation:
        seen = super().situation(service)
        views = {
            name: replace(view, looks=(self.service_on(service, name),)) for name, view in seen.hosts.items()
        }
        return replace(seen, hosts=views)

    def _runs(self, name: str) -> bool:
        return self.gates[name].processes > 0 and name not in self.dead

    def _serves(self, name: str) -> bool:
        return super()._serves(name) and name not in self.wrong


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> WrongWorld:
    world = WrongWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})
    kernel_of(world.gates["b"], monkeypatch)
    in_no_time(monkeypatch)
    monkeypatch.setattr(first_answer, "SAME_ANSWER_SECONDS", 0.01)
    return world


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    return journal


def begun(
    world: WrongWorld, journal: Journal, **takeover: Any
) -> tuple[Context, threading.Thread, threading.Event]:
    metrics = Metrics()
    metrics.init_service("www", ("a", "b"))
    about = Context(wrong_site(**takeover), "www", journal, metrics, world.gates, world)
    ended = threading.Event()
    incident = Incident(about, journal.open_incident("www", "LocumServiceDown"))
    thread = threading.Thread(target=incident.handle, args=(ended,))
    thread.start()
    return about, thread, ended


def wait_for_looks(world: WrongWorld, count: int) -> None:
    wait_for(
        lambda: world.looks >= count, f"the hosts were observed {count} times", state=lambda: world.looks
    )


def refusals(about: Context, reason: str) -> float:
    return (
        about.metrics.registry.get_sample_value(
            "locum_actuator_refusals_total", {"service": "www", "reason": reason}
        )
        or 0.0
    )


def test_c2_an_expired_certificate_moves_nothing_and_is_told_once(
    world: WrongWorld, journal: Journal
) -> None:
    world.wrong = {"a": "tls", "b": "tls"}
    about, thread, ended = begun(world, journal)
    wait_for_looks(world, 20)
    ended.set()
    thread.join(30)
    assert (world.gates["a"].calls, world.gates["b"].calls) == ([], [])
    assert refusals(about, "malformed") == 1
    decided = [event["text"] for event in journal.incidents()[0]["events"] if event["kind"] == "decided"]
    assert decided == [
        "refuse: the service on a answers, but with a bad certificate or not in its protocol (b: the certificate is"
        " not accepted: certificate has expired); takeover.when_unexpected is tell for this unless it is given:"
        " repair it on every host; it does not lead to a takeover"
    ]


def test_c2_it_ends_by_itself_when_the_certificate_is_renewed(world: WrongWorld, journal: Journal) -> None:
    world.wrong = {"a": "tls"}
    _, thread, _ = begun(world, journal)
    wait_for_looks(world, 3)
    world.wrong = {}
    thread.join(30)
    assert journal.incidents()[0]["outcome"] == "nothing"
    assert (world.gates["a"].calls, world.gates["b"].calls) == ([], [])


def test_c2_a_takeover_that_finds_the_same_answer_is_undone_told_once_and_not_repeated(
    world: WrongWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locum_actuator.engine.attempts.TRY_AGAIN_SECONDS", 0.05)
    world.wrong = {"a": "status", "b": "status"}
    about, thread, ended = begun(world, journal, cooldown=0, max_per_hour=60)
    wait_for_looks(world, 40)
    ended.set()
    thread.join(30)
    assert world.gates["b"].calls == ["start", "release"]
    assert (world.gates["a"].held, world.gates["b"].held) == (True, False)
    assert world.gates["a"].calls == ["release", "start", "claim"]
    assert refusals(about, "same_answer") == 1
    assert journal.holder("www").host == "a"


def test_c2_a_takeover_that_helps_is_one(world: WrongWorld, journal: Journal) -> None:
    world.wrong = {"a": "status"}
    _, thread, _ = begun(world, journal)
    thread.join(30)
    incident = journal.incidents()[0]
    assert (incident["outcome"], journal.holder("www").host) == ("takeover", "b")
    assert incident["reason"].startswith(
        "the service on a answers, but not as expected (b: answered 500, expected 200)"
    )


def test_c2_a_restart_that_does_not_help_is_followed_by_a_takeover(
    world: WrongWorld, journal: Journal
) -> None:
    world.wrong = {"a": "status"}
    _, thread, _ = begun(world, journal, when_unexpected="restart")
    thread.join(30)
    assert (journal.incidents()[0]["outcome"], journal.holder("www").host) == ("takeover", "b")
    assert world.gates["a"].calls == ["respawn", "release"]


def test_c2_what_is_wrong_on_every_holder_host_is_no_storm(world: WrongWorld, journal: Journal) -> None:
    """A certificate that all hosts share ends on all of them at once, and no network is at fault."""
    world.wrong = {"a": "tls"}
    about, thread, ended = begun(world, journal)
    wait_for_looks(world, 3)
    assert about.storm.failing() == frozenset()
    ended.set()
    thread.join(30)

"""Planned moves: what is decided, how one ends, how it is asked for, and what becomes of one that fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from locum_actuator.cli import main
from locum_actuator.decision import planned_move
from locum_actuator.decision.planned_move import decide_move
from locum_actuator.domain.mirror_run import (
    NO_WISH,
    Changes,
    Divergence,
    MirrorResult,
    NoMirrors,
    Outcome,
    RunOptions,
)
from locum_actuator.domain.plan import Move
from locum_actuator.domain.ports import Confirmed
from locum_actuator.domain.situation import CheckOutcome, Memory, Situation
from locum_actuator.engine import attempts
from locum_actuator.engine import incident as incident_module
from locum_actuator.engine import move_requests as mover_module
from locum_actuator.engine import worker as worker_module
from locum_actuator.engine.context import Context
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.move_incident import MoveRequest, begin_incident
from locum_actuator.engine.move_requests import MoveRequests, Progress
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps import claim, prove
from locum_actuator.system import netlink
from locum_exporter.result import Outcome as Found
from locum_inventory.gate.host_file import host_file_sha256
from locum_inventory.site.model import InterfaceAddress, Mirror, Site
from tests.actuator.fakes import FakeGate, FakeWorld, KeptFakes, host, site, situation
from tests.actuator.shortcuts import be_impatient
from tests.support.http_server import AUTH
from tests.support.polling import wait_for

SWITCHOVER = "/api/v1/services/www/switchover"

WELL = host("a", serves=True, holds=True, processes=3)
READY = host("b")
CALM = situation(WELL, READY)
KNOWN = Memory(holder="a", epoch=1)
TO_B = Move("switchover", "b", "anna")


def planned(
    seen: Situation, memory: Memory = KNOWN, move: Move = TO_B, **takeover: object
) -> tuple[str, str]:
    """Return the plan as `kind/code: steps`, and its reason."""
    standby = takeover.pop("standby", "stopped")
    service = site(**takeover).services["www"].model_copy(update={"standby": standby})
    plan = decide_move(move, seen, memory, service)
    return f"{plan.kind}/{plan.code}: {', '.join(map(str, plan.steps))}", plan.reason


PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "as it is by default": (
        {}, "switchover/switchover: release on a, confirm on b, start on b, claim on b, prove on b",
    ),
    "may run twice: started before the release": (
        {"start": "during_release"},
        "switchover/switchover: start on b, release on a, confirm on b, claim on b, prove on b",
    ),
    "binds to the address: started after the claim": (
        {"start": "after_claim"},
        "switchover/switchover: release on a, confirm on b, claim on b, start on b, prove on b",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("takeover", "steps"), PLANS.values(), ids=PLANS)
def test_the_steps_of_a_move(takeover: dict[str, Any], steps: str) -> None:
    assert planned(CALM, **takeover) == (steps, "switchover to b, asked for by anna; a serves and b can")


def test_what_runs_on_the_target_already_is_stopped_first() -> None:
    steps, _ = planned(situation(WELL, host("b", serves=True, processes=2)))
    assert steps.startswith("switchover/switchover: release on b, release on a, confirm on b, start on b")


def test_what_runs_everywhere_is_not_started() -> None:
    steps, _ = planned(situation(WELL, host("b", serves=True, processes=2)), standby="running")
    assert steps == "switchover/switchover: release on a, confirm on b, claim on b, prove on b"


LOSSY = host("b", echoes=(17, 20))
BY_ITSELF = replace(TO_B, asked_by=None)
NO_PLAN: dict[str, tuple[Situation, Memory, Move, dict[str, Any], str, str]] = {
    "the target has it": (
        CALM, KNOWN, Move("failback", None, "anna"), {}, "nothing/held: ", "a holds it already",
    ),
    "no holder is known": (
        CALM, Memory(holder=None, epoch=0), TO_B, {}, "refuse/holder: ",
        "it is not certain which host holds it: the journal names no holder, and the address is held by a",
    ),
    "another host has it": (
        situation(WELL, replace(READY, holds=WELL.holds)), KNOWN, TO_B, {}, "refuse/holder: ",
        "it is not certain which host holds it: the journal names a, and the address is held by a and b",
    ),
    "a stranger has it too": (
        situation(WELL, READY, strangers=("02:00:00:00:00:09",)), KNOWN, TO_B, {}, "refuse/holder: ",
        "it is not certain which host holds it: the journal names a, and the address is held by 02:00:00:00:00:09"
        " and a",
    ),
    "the holder's gate is silent": (
        situation(host("a", serves=True, gate="timeout"), READY, holders=("a",)), KNOWN, TO_B, {},
        "refuse/release: ", "a could not be asked to release: timeout",
    ),
    "the holder does not serve": (
        situation(replace(WELL, looks=host("a").looks), READY), KNOWN, TO_B, {}, "refuse/not_well: ",
        "the service on a does not answer (b: no answer): locum handles that automatically",
    ),
    "automatic: the line to the holder loses": (
        situation(replace(WELL, echoes_received=12, echoes_sent=20), READY), KNOWN, BY_ITSELF, {}, "refuse/line: ",
        "the line to a is not clean: 12 of 20 echoes came back",
    ),
    "no witness answers": (
        situation(WELL, READY, witness=False), KNOWN, TO_B, {}, "refuse/cut_off: ",
        "no witness answers (192.0.2.254): it may be this host that is cut off",
    ),
    "the wire could not be checked": (
        situation(WELL, READY, looked=False), KNOWN, TO_B, {}, "refuse/could_not_look: ",
        "it could not be checked which host has the address",
    ),
    "the target's gate is silent": (
        situation(WELL, host("b", gate="refused")), KNOWN, TO_B, {}, "refuse/target_silent: ",
        "b cannot take over: its gate is silent (refused)",
    ),
    "automatic: the line to the target loses": (
        situation(WELL, LOSSY), KNOWN, BY_ITSELF, {}, "refuse/target_silent: ",
        "b cannot take over: the line to it is not clean: 17 of 20 echoes came back",
    ),
    "automatic: the target could not be pinged": (
        situation(WELL, replace(READY, echoes_sent=0, echoes_received=0, ping_fault="no raw socket")), KNOWN,
        BY_ITSELF, {}, "refuse/target_silent: ",
        "b cannot take over: the line to it is not clean: it could not be pinged (no raw socket)",
    ),
    "it should run there and does not answer": (
        CALM, KNOWN, TO_B, {"standby": "running"}, "refuse/target_silent: ",
        "b cannot take over: the service does not answer there, although it should be running",
    ),
    "observe": (CALM, KNOWN, TO_B, {"mode": "observe"}, "refuse/observe: ", "mode is observe: nothing is touched"),
    "paused": (
        CALM, replace(KNOWN, paused="until noon (new disks)"), TO_B, {}, "refuse/paused: ",
        "paused until noon (new disks)",
    ),
    "automatic: the budget is spent": (
        CALM, replace(KNOWN, takeovers_last_hour=3), replace(TO_B, asked_by=None), {}, "refuse/budget: ",
        "3 takeovers in the last hour, and max_per_hour is 3: find out why the service keeps moving",
    ),
    "automatic: right after a takeover": (
        CALM, replace(KNOWN, seconds_since_takeover=5.0), replace(TO_B, asked_by=None), {},
        "refuse/cooldown: ",
        "the last takeover was less than takeover.cooldown (60 s) ago: the next may begin after that",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "memory", "move", "takeover", "plan", "reason"), NO_PLAN.values(), ids=NO_PLAN
)
def test_what_is_not_certain_refuses(
    seen: Situation, memory: Memory, move: Move, takeover: dict[str, Any], plan: str, reason: str
) -> None:
    assert planned(seen, memory, move, **takeover) == (plan, reason)


def test_b6_a_person_may_order_a_move_while_both_gates_answer() -> None:
    """A holder that limits pings to one a second has no clean line for ever, as far as echoes show."""
    limited = replace(WELL, echoes_received=1, echoes_sent=20)
    steps, reason = planned(situation(limited, LOSSY))
    assert steps.startswith("switchover/switchover: release on a, confirm on b")
    assert reason == (
        "switchover to b, asked for by anna; a serves and b can, though the line to a (1 of 20 echoes came back)"
        " and b (17 of 20 echoes came back) is not clean"
    )


def test_b6_locum_itself_moves_over_a_line_that_prompt_gates_show_to_be_clean() -> None:
    limited = replace(WELL, echoes_received=1, echoes_sent=20, gate_prompt=True)
    prompt = replace(LOSSY, gate_prompt=True)
    assert planned(situation(limited, prompt), move=BY_ITSELF)[0].startswith(
        "switchover/switchover: release on a"
    )


def test_a_storm_holds_a_move_back() -> None:
    memory = replace(KNOWN, holding_hosts=3, failing_elsewhere=frozenset({"c"}))
    steps, reason = planned(CALM, memory)
    assert steps == "refuse/storm: "
    assert reason.startswith("a and c began to fail within the same half minute")


GOES: dict[str, tuple[Memory, Move]] = {
    "paused, and the person says so": (
        replace(KNOWN, paused="until noon"),
        replace(TO_B, despite_pause=True),
    ),
    "the budget is spent": (replace(KNOWN, takeovers_last_hour=3), TO_B),
    "right after a takeover": (replace(KNOWN, seconds_since_takeover=5.0), TO_B),
}


@pytest.mark.parametrize(("memory", "move"), GOES.values(), ids=GOES)
def test_a_persons_word_stands_above(memory: Memory, move: Move) -> None:
    assert planned(CALM, memory, move)[0].startswith("switchover/switchover: release on a")


def test_without_a_host_it_is_the_first_that_could() -> None:
    three = situation(WELL, host("b", gate="timeout"), host("c"))
    service = site().services["www"].model_copy(update={"hosts": ("a", "b", "c")})
    assert decide_move(Move("switchover", None, "anna"), three, KNOWN, service).target == "c"
    silent = situation(WELL, host("b", gate="timeout"), host("c", gate="closed"))
    assert (
        decide_move(Move("switchover", None, "anna"), silent, KNOWN, service).reason
        == "b cannot take over: its gate is silent (timeout)"
    )
    obstacles = {"b": ("its gate is not current",)}
    assert decide_move(TO_B, CALM, KNOWN, service, obstacles).reason == (
        "b cannot take over: its gate is not current"
    )


MIRRORED = {
    "before_claim": "release on a, mirror on b, confirm on b, start on b, claim on b, prove on b",
    "during_release": "release on a, mirror on b, confirm on b, start on b, claim on b, prove on b",
    "after_claim": "release on a, mirror on b, confirm on b, claim on b, start on b, prove on b",
}


def mirrored(values: Site) -> Site:
    service = values.services["www"].model_copy(update={"mirror": Mirror(source=Path("/srv/www"))})
    return values.model_copy(update={"services": {"www": service}})


@pytest.mark.parametrize(("start", "steps"), MIRRORED.items(), ids=MIRRORED)
def test_the_data_go_along_while_nobody_writes(start: str, steps: str) -> None:
    service = mirrored(site(start=start)).services["www"]
    assert ", ".join(map(str, decide_move(TO_B, CALM, KNOWN, service).steps)) == steps


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FakeWorld:
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})
    b = world.gates["b"]

    def add(interface: str, address: InterfaceAddress, **right_before: object) -> None:
        b.held = True

    monkeypatch.setattr(netlink, "add", add)
    monkeypatch.setattr(netlink, "remove", lambda address: setattr(b, "held", False))
    monkeypatch.setattr(netlink, "held", lambda addresses: {a.ip for a in addresses} if b.held else set())
    monkeypatch.setattr(claim, "announce", lambda interface, addresses: None)
    monkeypatch.setattr(prove, "announce", lambda interface, addresses: None)
    be_impatient(monkeypatch, 0.05)
    for name in ("KEEP_LOOKING_SECONDS", "WAITING_SECONDS"):
        monkeypatch.setattr(incident_module, name, 0.01)
    monkeypatch.setattr(planned_move, "PATIENCE_SECONDS", 0.0)
    return world


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    yield journal
    journal.close()


def carry_out(
    world: FakeWorld, journal: Journal, move: Move = TO_B, metrics: Metrics | None = None, **takeover: Any
) -> dict[str, Any]:
    """Handle a move as the worker does and return its incident."""
    metrics = metrics or Metrics()
    metrics.init_service("www", ("a", "b"))
    context = Context(site(**takeover), "www", journal, metrics, world.gates, world)
    number = journal.open_incident("www", move.verb)
    begin_incident(context, number, move=move).handle(threading.Event())
    incident = journal.incident(number)
    assert incident is not None
    return incident


def test_a_switchover_moves_the_service_and_says_who_asked(world: FakeWorld, journal: Journal) -> None:
    incident = carry_out(world, journal, replace(TO_B, reason="new disks"))
    assert (incident["outcome"], incident["reason"]) == (
        "switchover", "switchover to b, asked for by anna: new disks; a serves and b can (not proven from outside)",
    )  # fmt: skip
    assert incident["planned"] == {
        "verb": "switchover", "target": "b", "asked_by": "anna", "reason": "new disks", "done": True,
    }  # fmt: skip
    assert [gate.held for gate in world.gates.values()] == [False, True]
    assert (journal.holder("www").host, journal.holder("www").epoch) == ("b", 2)
    assert journal.counts.takeovers_since("www", 0) == 0, "a person's move spends no budget"
    last = journal.moves.last("www")
    assert last is not None
    assert (last.verb, last.target, last.asked_by) == ("switchover", "b", "anna")


def test_there_and_back(world: FakeWorld, journal: Journal) -> None:
    carry_out(world, journal)
    incident = carry_out(world, journal, Move("failback", None, "anna"))
    assert incident["outcome"] == "failback"
    assert incident["planned"]["target"] == "a"
    assert [gate.held for gate in world.gates.values()] == [True, False]
    assert [gate.processes for gate in world.gates.values()] == [3, 0]
    assert world.gates["a"].epoch == 3


def refuse_start(world: FakeWorld) -> None:
    world.gates["b"].start_works = False


def refuse_release(world: FakeWorld) -> None:
    world.gates["a"].refuse["release"] = "timeout"


def lose_witness_later(world: FakeWorld) -> None:
    def confirm(service: str, silent: str | None = None) -> Confirmed:
        return Confirmed(False, (frozenset(), frozenset()))

    world.confirm = confirm  # type: ignore[method-assign]


FAILURES: dict[str, tuple[Callable[[FakeWorld], None], dict[str, Any], str]] = {
    "the target does not start": (
        refuse_start, {},
        "switchover: started on b, and its process has exited again: no answer; then b got an answer from a: "
        "answered 200",
    ),
    "the target does not start, before anything was released": (
        refuse_start, {"start": "during_release"},
        "switchover: started on b, and its process has exited again: no answer; then b got an answer from a: "
        "answered 200",
    ),
    "the release is not confirmed": (
        refuse_release, {},
        "switchover: release on a: release timeout; then b got an answer from a: answered 200",
    ),
    "the witness goes": (
        lose_witness_later, {},
        "switchover: no witness answers any more: it may be this host that is cut off; then b got an answer "
        "from a: answered 200",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "takeover", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_move_that_fails_is_undone(
    world: FakeWorld,
    journal: Journal,
    fault: Callable[[FakeWorld], None],
    takeover: dict[str, Any],
    reason: str,
) -> None:
    fault(world)
    incident = carry_out(world, journal, **takeover)
    assert (incident["outcome"], incident["reason"]) == ("failed", reason)
    assert [gate.held for gate in world.gates.values()] == [True, False]
    assert world.gates["a"].processes > 0
    assert world.gates["b"].processes == 0
    assert journal.holder("www").host == "a"
    assert journal.moves.last("www") is None


def test_what_a_move_leaves_half_done_is_cared_for_as_a_fault(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """b does not start, and a does not come back at once: the address must not stay without a host."""
    refuse_start(world)
    world.gates["a"].refuse["claim"] = "failed"
    monkeypatch.setattr(attempts, "TRY_AGAIN_SECONDS", 0.0)
    looks = world.situation

    def situation(service: str) -> Situation:
        if world.looks > 1:
            world.gates["a"].refuse.clear()
        return looks(service)

    monkeypatch.setattr(world, "situation", situation)
    incident = carry_out(world, journal)
    assert incident["outcome"] == "claim"
    assert incident["reason"].startswith(
        "switchover: started on b, and its process has exited again: no answer; then no host holds"
    )
    assert world.gates["a"].held


def test_refused_is_written_down_too(world: FakeWorld, journal: Journal) -> None:
    world.gates["b"].fault = "unreachable"
    incident = carry_out(world, journal)
    assert (incident["outcome"], incident["reason"]) == (
        "refused", "b cannot take over: its gate is silent (no answer)",
    )  # fmt: skip
    assert world.gates["a"].calls == []


def test_what_may_be_over_at_the_next_look_is_looked_at_again(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = world.situation

    def too_busy_at_first(service: str) -> Situation:
        return replace(looks(service), address_looked=world.looks > 2)

    monkeypatch.setattr(world, "situation", too_busy_at_first)
    assert carry_out(world, journal)["outcome"] == "switchover"
    assert world.looks == 3


@pytest.mark.parametrize("host", ["a", "b"])
def test_b14_a_gate_that_is_late_on_a_busy_machine_is_asked_again(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """A planned move is not urgent: "the gate did not finish status within 0.4 s" is no reason to refuse it."""
    monkeypatch.setattr(planned_move, "PATIENCE_SECONDS", 30.0)
    looks = world.situation

    def late_at_first(service: str) -> Situation:
        world.gates[host].fault = "timeout" if world.looks < 8 else None
        return looks(service)

    monkeypatch.setattr(world, "situation", late_at_first)
    assert carry_out(world, journal)["outcome"] == "switchover"
    assert world.looks == 9


def test_b14_a_move_whose_holder_does_not_serve_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its gate is silent and its service too: that is a fault, and it must not wait for a planned move."""
    monkeypatch.setattr(planned_move, "PATIENCE_SECONDS", 4.0)
    dead = situation(host("a", gate="timed out"), READY, holders=("a",))
    refused = decide_move(TO_B, dead, KNOWN, site().services["www"])
    assert refused.code == "release"
    assert planned_move.may_pass(refused, dead, KNOWN, looks=2, seconds=0.1)
    assert not planned_move.may_pass(refused, dead, KNOWN, looks=3, seconds=0.1)
    serving = situation(replace(WELL, gate_fault="timed out"), READY, holders=("a",))
    assert planned_move.may_pass(refused, serving, KNOWN, looks=3, seconds=0.1)
    assert not planned_move.may_pass(refused, serving, KNOWN, looks=3, seconds=60.0)
    unseen = replace(
        host("a", gate="timed out"), looks=(CheckOutcome("b", Found.NOT_LOOKED, "too busy", "busy"),)
    )
    busy = situation(unseen, READY, holders=("a",))
    assert planned_move.may_pass(refused, busy, KNOWN, looks=3, seconds=0.1), (
        "no vantage point saw that it does not serve"
    )


def test_what_lasts_is_refused_after_three_looks_and_is_no_fault(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = world.situation
    monkeypatch.setattr(world, "situation", lambda service: replace(looks(service), address_looked=False))
    metrics = Metrics()
    incident = carry_out(world, journal, metrics=metrics)
    assert (incident["outcome"], incident["reason"]) == (
        "refused", "it could not be checked which host has the address",
    )  # fmt: skip
    assert world.looks == 3
    assert b"locum_actuator_refusals_total{" not in metrics.render(), "no person is woken because of it"


def test_asked_twice_is_already_so_and_stays_an_incident_of_its_own(
    world: FakeWorld, journal: Journal
) -> None:
    for _ in range(2):
        incident = carry_out(world, journal, Move("failback", None, "anna"))
        assert (incident["outcome"], incident["reason"]) == ("already", "a holds it already")
    assert len(journal.incidents()) == 2


def test_nobody_takes_up_what_was_given_up() -> None:
    asked = MoveRequest(TO_B)
    assert not asked.wait(0.01)
    assert not asked.take()


def test_b12_a_move_is_taken_up_once() -> None:
    asked = MoveRequest(TO_B)
    assert (asked.take(), asked.take()) == (True, False)


@pytest.mark.parametrize("answer", ["incident", "fault first", "failed"])
def test_b12_what_was_taken_up_is_waited_for_however_long_it_takes(answer: str) -> None:
    asked, begun = MoveRequest(TO_B), threading.Event()

    def work() -> None:
        assert asked.take()
        begun.set()
        time.sleep(0.2)  # longer than the other waits for it to be taken up
        if answer == "failed":
            asked.fail("JournalError: disk full")
        else:
            asked.answer(7 if answer == "incident" else None)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    assert asked.wait(0.01), "to give up now would refuse what is carried out all the same"
    thread.join(30)
    assert (asked.incident, asked.fault) == {
        "incident": (7, None),
        "fault first": (None, None),
        "failed": (None, "JournalError: disk full"),
    }[answer]


# -- asked for over HTTP and from the command line -------------------------------------------------------------


@pytest.fixture
def engine(world: FakeWorld, journal: Journal) -> Iterator[Engine]:
    engine = Engine(site(), journal, Metrics(), lambda _: KeptFakes(world), lambda _site, _gates: world)
    engine.start()
    wait_for(
        lambda: journal.incidents() and journal.incidents()[0]["outcome"], "the first incident is closed"
    )
    yield engine
    engine.stop()


def outcome(client: FlaskClient) -> dict[str, Any]:
    """Wait for the move that was begun and return its incident."""

    def number() -> Any:
        answer = client.get("/api/v1/services/www/move").json
        assert answer is not None
        return answer["move"]["incident"]

    number_of_it = wait_for(number, "the move has an incident")

    def closed() -> Any:
        answer = client.get(f"/api/v1/incidents/{number_of_it}").json
        assert answer is not None
        return answer["incident"]["outcome"] and answer["incident"]

    found: dict[str, Any] = wait_for(closed, "the incident of the move is closed")
    return found


def test_asked_for_over_http(client: FlaskClient, world: FakeWorld) -> None:
    dry = client.post(SWITCHOVER, json={"to": "b", "by": "anna", "dry_run": True}, headers=AUTH)
    assert dry.status_code == 200
    assert dry.json is not None
    assert [step["name"] for step in dry.json["plan"]["steps"]] == [
        "release", "confirm", "start", "claim", "prove",
    ]  # fmt: skip
    assert world.gates["a"].held
    begun = client.post(SWITCHOVER, json={"to": "b", "by": "anna"}, headers=AUTH)
    assert begun.status_code == 202
    incident = outcome(client)
    assert (incident["outcome"], incident["trigger"]) == ("switchover", "switchover")
    assert incident["planned"]["asked_by"] == "anna"
    assert world.gates["b"].held
    metrics = client.get("/metrics").text
    assert 'locum_actuator_planned_moves_total{service="www",verb="switchover"} 1.0' in metrics
    assert 'locum_actuator_takeovers_total{service="www"} 0.0' in metrics
    back = client.post("/api/v1/services/www/failback", json={}, headers=AUTH)
    assert back.status_code == 202
    incident = outcome(client)
    assert (incident["outcome"], incident["planned"]["asked_by"]) == (
        "failback",
        "a client with the API token",
    )


OBJECT = 'give a JSON object such as {"to": "b", "by": "anna", "reason": "new disks"}'
REFUSED: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "no token": (
        SWITCHOVER, b"{}", {}, 401, "the bearer token is missing or wrong, or the site names no api_token_file",
    ),
    "no such service": (
        "/api/v1/services/mail/switchover", b"{}", AUTH, 404, "no service 'mail'; there is www",
    ),
    "not JSON": (SWITCHOVER, b"to b", AUTH, 400, "the body is not JSON"),
    "a list": (SWITCHOVER, b"[]", AUTH, 400, OBJECT),
    "an unknown key": (SWITCHOVER, b'{"force": true}', AUTH, 400, f"'force' is not known: {OBJECT}"),
    "no host of it": (
        SWITCHOVER, b'{"to": "z"}', AUTH, 400, "'z' is not a host of the service: its hosts are a, b",
    ),
    "a host that is none": (
        SWITCHOVER, b'{"to": ["b"]}', AUTH, 400, "'['b']' is not a host of the service: its hosts are a, b",
    ),
    "a failback to a host": (
        "/api/v1/services/www/failback", b'{"to": "b"}', AUTH, 400,
        "to: a failback goes to the preferred host: leave this key out, or request a switchover",
    ),
    "a flag that is none": (
        SWITCHOVER, b'{"despite_pause": "yes"}', AUTH, 400, "despite_pause: give true or false",
    ),
    "too long a reason": (
        SWITCHOVER, json.dumps({"reason": "x" * 201}).encode(), AUTH, 400,
        "reason: give a text of at most 200 characters",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "data", "headers", "status", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_move_is_refused_in_words(
    client: FlaskClient,
    world: FakeWorld,
    path: str,
    data: bytes,
    headers: dict[str, str],
    status: int,
    words: str,
) -> None:
    answer = client.post(path, data=data, headers=headers, content_type="application/json")
    assert (answer.status_code, answer.json) == (status, {"error": words})
    assert world.gates["a"].held


def test_an_open_incident_comes_first(client: FlaskClient, engine: Engine, world: FakeWorld) -> None:
    world.witness = False
    world.gates["a"].fault = "unreachable"
    world.dead.add("a")
    engine.workers["www"].wake("LocumServiceDown")
    number = wait_for(lambda: engine.workers["www"].incident, "an incident is open")
    answer = client.post(SWITCHOVER, json={"to": "b"}, headers=AUTH)
    assert (answer.status_code, answer.json) == (
        409, {"error": f"incident {number} of www is open: it comes first"},
    )  # fmt: skip


def test_from_the_command_line(url: str, site_file: Path, world: FakeWorld, engine: Engine) -> None:
    def locum(*words: str, answer: str | None = None) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["--site", str(site_file), *words, "--actuator", url], input=answer)
        return done.exit_code, done.output

    steps = ("release on a", "confirm on b", "start on b", "claim on b", "prove on b")
    engine.workers["www"].patrol.round()
    code, said = locum("status", "www")
    assert code == 0
    assert "www: b is a standby:\n  yes  it answers\n  yes  its gate answers\n" in said
    code, said = locum("explain", "www")
    assert "a switchover to b would release on a, confirm on b, start on b, claim on b, prove on b\n" in said
    plan = "switchover of www from a to b:\n" + "".join(f"  {step}\n" for step in steps)
    assert locum("switchover", "www", "--dry-run") == (0, plan)
    code, said = locum("switchover", "www", answer="n\n")
    assert (code, said.splitlines()[-2:]) == (
        1, ["Go ahead? [y/N]: n", "locum switchover: nothing was done"],
    )  # fmt: skip
    assert world.gates["a"].held
    code, said = locum("switchover", "www", "b", answer="y\n")
    assert code == 0
    assert "done     claim on b" in said
    assert "www is held by b now (incident 2)" in said
    assert "www: a person has to move it back to a: `locum failback`\n" in wait_for(
        lambda: shown if "move it back" in (shown := locum("status", "www")[1]) else None,
        "the status says who moves the service back",
    )
    assert locum("switchover", "www", "b", "--yes") == (0, "www: nothing to do: b holds it already\n")
    world.gates["a"].fault = "unreachable"
    assert locum("failback", "www", "--yes") == (
        1, "locum failback: refused: a cannot take over: its gate is silent (no answer)\n",
    )  # fmt: skip
    world.gates["a"].fault = None
    world.gates["a"].start_works = False
    code, said = locum("failback", "www", "--yes")
    assert code == 1
    assert (
        "locum failback: failed: failback: started on a, and its process has exited again: no answer; then"
        in said
    )
    world.gates["a"].start_works = True
    code, said = locum("failback", "www", "--yes", "--json")
    assert (code, json.loads(said)["outcome"]) == (0, "failback")
    assert locum("failback", "www", "--json") == (
        2, "locum failback: --json cannot ask for confirmation: give --yes or --dry-run\n",
    )  # fmt: skip


# -- with the data ---------------------------------------------------------------------------------------------


@dataclass
class Mirrors(NoMirrors):
    """Mirrors whose runs end as a test says, with what they were asked for and what was held then."""

    world: FakeWorld
    outcome: Outcome = "done"
    both: bool = False
    asked: list[tuple[str, str, bool, bool]] = field(default_factory=list)

    def is_configured(self, service: str) -> bool:
        return True

    def halt(self, service: str, host: str) -> bool:
        return True

    def run(self, service: str, source: str, destination: str, wish: RunOptions = NO_WISH) -> MirrorResult:
        self.asked.append((source, destination, self.world.gates[source].held, wish.discard_changes))
        return MirrorResult(service, source, destination, 1, self.outcome, "disk full", 0.0, 0.0)

    def divergence(self, service: str, one: str, other: str) -> Divergence:
        count = 2 if self.both else 0
        return Divergence(
            20260101040000,
            Changes(one, 7, ("/srv/www/x",)),
            Changes(other, count, ("/srv/www/y", "/srv/www/z")),
        )


@pytest.fixture
def mirrors(world: FakeWorld) -> Mirrors:
    world.gates["a"].config = host_file_sha256(mirrored(site()), "a")
    world.gates["b"].config = host_file_sha256(mirrored(site()), "b")
    return Mirrors(world)


@pytest.fixture
def move_requests(world: FakeWorld, journal: Journal, mirrors: Mirrors) -> Iterator[MoveRequests]:
    context = Context(mirrored(site()), "www", journal, Metrics(), world.gates, world, mirrors=mirrors)
    worker = Worker(context)
    worker.start()
    wait_for(
        lambda: journal.incidents() and journal.incidents()[0]["outcome"], "the first incident is closed"
    )
    yield MoveRequests(lambda: {"www": worker})
    worker.end()
    worker.join(5)


def begun(move_requests: MoveRequests, move: Move) -> Progress:
    """Begin a move once the worker has finished with the incident before, which the journal closes first."""
    worker = move_requests._workers()["www"]
    wait_for(lambda: worker.incident is None, "the worker has no incident")
    return move_requests.begin("www", move)


def ended(move_requests: MoveRequests, journal: Journal, move: Move = TO_B) -> tuple[str, str]:
    """Begin a move and return how it ended: refused and why, or its incident's outcome and who holds."""
    progress = begun(move_requests, move)
    wait_for(lambda: progress.phase in {"refused", "moving"}, "the move is refused or under way")
    if progress.incident is None:
        return progress.phase, progress.text
    number = progress.incident
    incident = wait_for(
        lambda: (row := journal.incident(number)) and row["outcome"] and row,
        "the incident of the move is closed",
    )
    return incident["outcome"], str(journal.holder("www").host)


def test_one_pass_while_the_holder_serves_and_one_after_its_release(
    move_requests: MoveRequests, journal: Journal, mirrors: Mirrors
) -> None:
    assert ended(move_requests, journal) == ("switchover", "b")
    assert mirrors.asked == [("a", "b", True, False), ("a", "b", False, False)]


def test_where_the_data_do_not_arrive_nothing_is_touched(
    move_requests: MoveRequests, journal: Journal, mirrors: Mirrors, world: FakeWorld
) -> None:
    mirrors.outcome = "failed"
    assert ended(move_requests, journal) == ("refused", "the data could not be mirrored to b: disk full")
    assert [gate.calls for gate in world.gates.values()] == [[], []]


def test_where_both_sides_have_changed_a_person_is_asked(
    move_requests: MoveRequests, journal: Journal, mirrors: Mirrors
) -> None:
    mirrors.both = True
    assert ended(move_requests, journal) == (
        "refused",
        "both sides have changed since the mirror run of 2026-01-01 04:00:00 UTC: 7 changes on a (/srv/www/x); "
        "2 changes on b (/srv/www/y, /srv/www/z). To discard the changes on b, which are kept aside there: "
        "--discard-changes-on b",
    )
    assert mirrors.asked == []
    assert ended(move_requests, journal, replace(TO_B, discard_changes_on="a")) == (
        "refused", "a holds www: only changes on b can be discarded",
    )  # fmt: skip
    assert ended(move_requests, journal, replace(TO_B, discard_changes_on="b")) == ("switchover", "b")
    assert mirrors.asked == [("a", "b", True, True), ("a", "b", False, False)]


def test_what_has_no_chance_copies_nothing(
    move_requests: MoveRequests, journal: Journal, mirrors: Mirrors, world: FakeWorld
) -> None:
    world.gates["b"].fault = "unreachable"
    assert ended(move_requests, journal) == ("refused", "a")
    assert mirrors.asked == []


# -- every request ends once -----------------------------------------------------------------------------------

ENDS = ("done", "refused", "failed")


def phase_of(move_requests: MoveRequests, move: Move = TO_B) -> tuple[str, str]:
    """Begin a move and return the end it comes to, and its words."""
    number = begun(move_requests, move).number

    def end() -> Progress | None:
        progress = move_requests.progress("www")
        return progress if progress and progress.number == number and progress.phase in ENDS else None

    seen = wait_for(end, "the move has ended", state=lambda: move_requests.progress("www"))
    return seen.phase, seen.text


def test_b12_a_move_that_was_made_is_done(move_requests: MoveRequests) -> None:
    why = "switchover to b, asked for by anna; a serves and b can (not proven from outside)"
    assert phase_of(move_requests) == ("done", why)
    assert phase_of(move_requests) == ("done", "b holds it already")


def test_b12_a_move_that_cannot_be_is_refused(move_requests: MoveRequests, world: FakeWorld) -> None:
    world.gates["b"].fault = "unreachable"
    assert phase_of(move_requests) == ("refused", "b cannot take over: its gate is silent (no answer)")


def test_b12_a_move_that_was_undone_has_failed(move_requests: MoveRequests, world: FakeWorld) -> None:
    world.gates["b"].start_works = False
    phase, text = phase_of(move_requests)
    assert (phase, text.partition(";")[0]) == (
        "failed", "switchover: started on b, and its process has exited again: no answer",
    )  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [TimeoutError(), RuntimeError("can't start new thread"), OSError(24, "Too many open files"), SystemExit(1),
     JournalError("disk full")],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
def test_b12_a_look_that_raises_ends_the_move(
    move_requests: MoveRequests, world: FakeWorld, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    looks = world.situation

    def raises(_service: str) -> Situation:
        raise fault

    monkeypatch.setattr(world, "situation", raises)
    phase, text = phase_of(move_requests)
    assert (phase, text.startswith(f"it was not begun: {type(fault).__name__}")) == ("failed", True)
    monkeypatch.setattr(world, "situation", looks)
    assert phase_of(move_requests)[0] == "done", "and the next one is free to be begun"


def test_b12_a_move_that_its_worker_could_not_begin_is_not_carried_out_later(
    move_requests: MoveRequests, journal: Journal, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "AFTER_FAULT_SECONDS", 0.01)

    def full(*_: object) -> None:
        raise JournalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(journal.moves, "begin", full)
        phase, text = phase_of(move_requests)
    assert (phase, text) == ("failed", "it was not begun: JournalError: database or disk is full")
    wait_for(lambda: not journal.open_incidents(), "no incident is open")
    assert journal.incidents()[0]["planned"] is None
    assert world.gates["a"].held
    assert journal.holder("www").host == "a"


def test_b12_a_look_of_the_worker_that_raises_ends_the_move_and_service_is_cared_for(
    move_requests: MoveRequests, journal: Journal, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "AFTER_FAULT_SECONDS", 0.01)
    looks, raised = world.situation, threading.Event()

    def raises_in_the_worker(service: str) -> Situation:
        if threading.current_thread().name == "worker-www" and not raised.is_set():
            raised.set()
            raise TimeoutError
        return looks(service)

    monkeypatch.setattr(world, "situation", raises_in_the_worker)
    phase, text = phase_of(move_requests)
    assert raised.is_set()
    assert (phase, text.startswith("switchover: interrupted before its first step; then")) == ("failed", True)
    assert world.gates["a"].held


def test_b12_without_a_thread_for_it_a_move_has_failed(
    move_requests: MoveRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        progress = begun(move_requests, TO_B)
    assert (progress.phase, progress.text) == ("failed", "it was not begun: can't start new thread")
    assert phase_of(move_requests)[0] == "done"


def test_b12_a_worker_that_is_busy_refuses_and_does_nothing_later(
    world: FakeWorld, journal: Journal, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker is not even running yet: what it finds later was given up."""
    monkeypatch.setattr(mover_module, "TAKEN_UP_SECONDS", 0.05)
    worker = Worker(Context(mirrored(site()), "www", journal, Metrics(), world.gates, world, mirrors=mirrors))
    move_requests = MoveRequests(lambda: {"www": worker})
    assert phase_of(move_requests) == (
        "refused",
        "its worker is busy and did not accept the move: see `locum status`",
    )
    worker.start()
    try:
        wait_for(
            lambda: journal.incidents() and journal.incidents()[0]["outcome"], "the first incident is closed"
        )
        wait_for(worker._wakes._queue.empty, "the worker has taken up every request")
        assert [row["trigger"] for row in journal.incidents()] == ["start-up"]
        assert world.gates["a"].held
    finally:
        worker.end()
        worker.join(30)


def test_b12_a_dry_run_that_cannot_look_says_so(
    client: FlaskClient, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(_service: str) -> Situation:
        raise TimeoutError

    monkeypatch.setattr(world, "situation", raises)
    answer = client.post(SWITCHOVER, json={"to": "b", "dry_run": True}, headers=AUTH)
    assert (answer.status_code, answer.json) == (
        503,
        {"error": "the service could not be checked: TimeoutError"},
    )

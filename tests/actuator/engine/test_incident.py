"""From what woke the actuator to how the incident ended, on fake hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from locum_actuator.domain.alerts import WOKE
from locum_actuator.domain.ports import Confirmed
from locum_actuator.domain.situation import CheckOutcome, Situation
from locum_actuator.engine import incident_checks, patrol, worker
from locum_actuator.engine.attempts import MOST_IN_VAIN
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.journal import AlertRow, Journal
from locum_actuator.metrics import Metrics
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import GateError, ServiceStatus
from locum_inventory.site.model import Site
from sim.virtual_time import VirtualRuntime
from sim.waitables import Until
from tests.actuator.fakes import FakeGate, FakeWorld, site
from tests.actuator.shortcuts import in_no_time, kernel_of
from tests.support.polling import wait_for


@pytest.fixture
def virtual() -> Iterator[VirtualRuntime]:
    """Virtual time, for incidents that this test's own thread handles."""
    with VirtualRuntime().running() as time_of_it:
        yield time_of_it


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FakeWorld:
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})
    kernel_of(world.gates["b"], monkeypatch)
    in_no_time(monkeypatch)
    return world


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    return journal


def context(world: FakeWorld, journal: Journal, values: Site | None = None) -> Context:
    metrics = Metrics()
    metrics.init_service("www", ("a", "b"))
    return Context(values or site(), "www", journal, metrics, world.gates, world)


def handle(world: FakeWorld, journal: Journal, values: Site | None = None) -> tuple[str, str]:
    Incident(context(world, journal, values), journal.open_incident("www", "LocumServiceDown")).handle(
        threading.Event()
    )
    row = journal.incidents()[0]
    return row["outcome"], row["reason"]


def test_an_alert_for_a_healthy_service_does_nothing_and_says_why(world: FakeWorld, journal: Journal) -> None:
    assert handle(world, journal) == ("nothing", "b got an answer from a: answered 200")
    assert world.gates["a"].calls == []
    assert world.gates["b"].calls == []


def test_the_service_is_stopped_where_it_is_left_after_another_holder_was_adopted(
    world: FakeWorld, journal: Journal
) -> None:
    journal.set_holder("www", "b", 2)
    world.gates["b"].processes = 3
    assert handle(world, journal) == (
        "release",
        "b runs the service, which a holds: left over from an interrupted plan or an earlier holder",
    )
    assert journal.holder("www").host == "a"
    assert (world.gates["a"].processes, world.gates["b"].processes) == (3, 0)


def test_a1_a_holder_that_nobody_could_look_at_is_no_part_of_a_storm(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = context(world, journal)
    one, look = Incident(asked, journal.open_incident("www", "LocumServiceDown")), world.situation

    def busy(service: str) -> Situation:
        seen = look(service)
        blind = replace(seen.hosts["a"], looks=(CheckOutcome("b", Outcome.NOT_LOOKED, "too busy", "busy"),))
        return replace(seen, hosts={**seen.hosts, "a": blind})

    monkeypatch.setattr(world, "situation", busy)
    asked.storm.opened("www", "a")
    one.checks.check()
    assert asked.storm.failing() == frozenset()


def test_a1_a_silent_host_is_given_up_only_after_a_while_where_nobody_else_could_look(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_checks, "OTHERS_SECONDS", 1.0)
    world.dead.add("a")
    look, asked_at = world.situation, time.monotonic()

    def with_c(service: str) -> Situation:
        seen = look(service)
        unable = CheckOutcome("c", Outcome.NOT_LOOKED, "http could not be checked (exporter)", "exporter")
        looks = (*seen.hosts["a"].looks, unable)
        return replace(seen, hosts={**seen.hosts, "a": replace(seen.hosts["a"], looks=looks)})

    monkeypatch.setattr(world, "situation", with_c)
    assert handle(world, journal)[0] == "takeover"
    assert time.monotonic() - asked_at >= 1.0
    row = journal.incident(1)
    assert row is not None
    texts = [event["text"] for event in row["events"] if event["kind"] == "decided"]
    assert texts[0].startswith("keep_looking: a does not answer at all, and c could not check whether")


def test_a_respawn_that_worked_is_not_followed_by_a_takeover(world: FakeWorld, journal: Journal) -> None:
    world.gates["a"].processes = 0
    assert handle(world, journal) == ("respawn", "apache2 is not running on a")
    assert world.gates["a"].calls == ["respawn"]
    assert not world.gates["b"].held
    assert journal.holder("www").host == "a"


def test_b12_an_address_is_not_taken_off_again_for_want_of_a_thread(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate of this host gets the epoch from a thread of its own, which nothing waits for."""
    start = threading.Thread.start

    def no_more(thread: threading.Thread) -> None:
        if thread.name.startswith("epoch-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", no_more)
    world.dead.add("a")
    ended = threading.Event()
    over = threading.Timer(5.0, ended.set)
    over.start()
    Incident(context(world, journal), journal.open_incident("www", "LocumServiceDown")).handle(ended)
    over.cancel()
    assert world.gates["b"].calls == ["start"]
    assert world.gates["b"].held


def test_a_respawn_that_did_not_help_is_followed_by_a_takeover(world: FakeWorld, journal: Journal) -> None:
    world.gates["a"].processes = 0
    world.gates["a"].start_works = False
    outcome, reason = handle(world, journal)
    why = "apache2 is not running on a and a respawn did not help (not proven from outside)"
    assert (outcome, reason) == ("takeover", why)
    assert world.gates["a"].calls == ["respawn", "release"] or world.gates["a"].calls == ["respawn"]
    assert world.gates["b"].held


def test_a_dead_holder_is_taken_over_and_the_epoch_grows(world: FakeWorld, journal: Journal) -> None:
    world.dead.add("a")
    assert handle(world, journal)[0] == "takeover"
    assert journal.holder("www").host == "b"
    assert journal.holder("www").epoch == 2


def test_a_new_epoch_is_above_those_of_the_gates(world: FakeWorld, journal: Journal) -> None:
    world.gates["b"].epoch = 41
    world.hung.add("a")
    handle(world, journal)
    assert journal.holder("www").epoch == 42
    assert world.gates["a"].epoch == 42


def test_observe_touches_nothing_and_waits_for_the_end(world: FakeWorld, journal: Journal) -> None:
    world.hung.add("a")

    def recover() -> None:
        time.sleep(0.1)
        world.hung.clear()

    threading.Thread(target=recover).start()
    assert handle(world, journal, site(mode="observe"))[0] == "nothing"
    assert world.gates["a"].calls == []
    decided = [event["text"] for event in journal.incidents()[0]["events"] if event["kind"] == "decided"]
    assert decided[0].startswith("record: mode is observe; would have: release on a, confirm on b")


@pytest.mark.usefixtures("virtual")
def test_a_refusal_that_lasts_is_told_once(world: FakeWorld, journal: Journal) -> None:
    world.gates["a"].fault = "refused"
    world.hung.add("a")
    ended = Until(0.15)
    there = context(world, journal)
    Incident(there, journal.open_incident("www", "x")).handle(ended)
    events = journal.incidents()[0]["events"]
    assert [event["kind"] for event in events] == ["decided"]
    assert events[0]["text"].startswith("refuse: a answers ping but not its gate")
    assert world.looks > 3, "it goes on looking all the same"
    sample = there.metrics.registry.get_sample_value
    assert sample("locum_actuator_refusals_total", {"service": "www", "reason": "unfenced"}) == 1


@pytest.mark.usefixtures("virtual")
def test_a_takeover_that_fails_is_not_tried_again_at_once(world: FakeWorld, journal: Journal) -> None:
    world.hung.add("a")
    world.gates["b"].start_works = False
    ended = Until(0.3)
    Incident(context(world, journal), journal.open_incident("www", "x")).handle(ended)
    assert world.gates["b"].calls.count("start") == 1
    assert world.gates["a"].held, "and a has the address"


def events(journal: Journal, kind: str) -> list[str]:
    return [f"{e['step']} on {e['host']}" for e in journal.incidents()[0]["events"] if e["kind"] == kind]


@pytest.mark.parametrize("failures", [1, 5])
def test_b7_a_question_that_fails_is_asked_again_at_once_and_spends_nothing(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """a is dead; the last question before the claim fails so often, and the budget is one takeover an hour."""
    world.dead.add("a")
    asked, confirm = 0, world.confirm

    def at_first_without_witness(service: str, silent: str | None = None) -> Confirmed:
        nonlocal asked
        asked += 1
        return replace(confirm(service, silent), witnessed=asked > failures)

    monkeypatch.setattr(world, "confirm", at_first_without_witness)
    assert handle(world, journal, site(max_per_hour=1))[0] == "takeover"
    assert events(journal, "failed") == ["confirm on b"] * failures
    assert journal.counts.takeovers_since("www", 0.0) == 1


@pytest.mark.usefixtures("virtual")
def test_b7_what_moves_before_a_question_that_fails_is_counted_and_not_repeated_for_ever(
    world: FakeWorld, journal: Journal
) -> None:
    """a hangs and lets go, and each time no witness answers the last question: it gets its service back."""
    world.hung.add("a")
    confirm = world.confirm
    world.confirm = lambda *_: replace(confirm("www"), witnessed=False)  # type: ignore[method-assign]
    ended = Until(1.0)
    Incident(context(world, journal, site(max_per_hour=60)), journal.open_incident("www", "x")).handle(ended)
    assert events(journal, "failed") == ["confirm on b"] * MOST_IN_VAIN
    assert world.gates["a"].held
    assert journal.counts.takeovers_since("www", 0.0) == MOST_IN_VAIN


def test_b7_a_gate_that_could_not_be_asked_spends_nothing(world: FakeWorld, journal: Journal) -> None:
    """The respawn finds no thread or descriptor here; that is no attempt, and is made up for soon."""
    world.gates["a"].processes = 0
    change, asked = world.gates["a"].run_verb, 0

    def busy_at_first(*words: object, **more: object) -> ServiceStatus:
        nonlocal asked
        asked += 1
        if asked <= 2:
            raise GateError.busy("a: could not be asked: Too many open files")
        return change(*words, **more)  # type: ignore[arg-type]

    world.gates["a"].run_verb = busy_at_first  # type: ignore[method-assign]
    assert handle(world, journal)[0] == "respawn"
    assert journal.counts.respawns_since("www", 0.0) == {"a": 1}


@pytest.mark.usefixtures("virtual")
def test_budget_counts_attempts(world: FakeWorld, journal: Journal) -> None:
    for number in range(3):
        journal.counts.count_takeover("www", number)
    world.dead.add("a")
    ended = Until(0.05)
    Incident(context(world, journal), journal.open_incident("www", "x")).handle(ended)
    assert not world.gates["b"].held
    assert "max_per_hour is 3" in journal.incidents()[0]["events"][0]["text"]


def test_a_worker_looks_at_the_start_and_on_patrol(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patrol, "CALM_SECONDS", 0.03)
    there = Worker(context(world, journal))
    there.start()
    try:
        wait_for(
            lambda: journal.incidents() and journal.incidents()[0]["outcome"] == "nothing",
            "the first incident ends with nothing to do",
        )
        world.gates["a"].held = False
        wait_for(lambda: world.gates["a"].held, "a holds the address")
        wait_for(lambda: journal.incidents()[0]["outcome"] == "claim", "the incident ends with a claim")
        assert journal.incidents()[0]["trigger"] == "patrol: a does not hold the address"
        world.gates["b"].fault = "refused"
        wait_for(lambda: not there.patrol.standby_available, "the patrol finds no standby available")
    finally:
        there.end()
        there.join(2)


def test_a_host_that_was_back_before_the_next_round_is_released_all_the_same(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It crashed, b took over, and it had booted with its service running before a patrol round."""
    taken = threading.Event()
    real = journal.counts.takeover_done

    def back_at_once(service: str, incident: int) -> None:
        real(service, incident)
        world.dead.discard("a")
        world.gates["a"].fault, world.gates["a"].held = None, False
        taken.set()

    monkeypatch.setattr(journal.counts, "takeover_done", back_at_once)
    there = Worker(context(world, journal))
    there.start()
    try:
        wait_for(
            lambda: journal.incidents() and journal.incidents()[0]["outcome"] == "nothing",
            "the first incident ends with nothing to do",
        )
        world.gates["a"].fault = "unreachable"
        world.dead.add("a")
        there.wake("LocumServiceDown")
        wait_for(taken.is_set, "b has taken over")
        wait_for(lambda: "release" in world.gates["a"].calls, "a is asked to release the address")
    finally:
        there.end()
        there.join(2)


def test_an_alert_accepted_just_before_a_kill_belongs_to_the_first_look(
    world: FakeWorld, journal: Journal
) -> None:
    journal.accept(
        AlertRow("LocumServiceDown", "www", "a", "firing", None, None, verdict)
        for verdict in (WOKE, "resolved")
    )
    there = Worker(context(world, journal))
    there.start()
    try:
        wait_for(
            lambda: journal.incidents() and journal.incidents()[0]["outcome"], "the first incident is closed"
        )
        woke, resolved = sorted(journal.alerts(), key=lambda row: int(row["id"]))
        assert (woke["incident"], resolved["incident"]) == (journal.incidents()[0]["id"], None)
    finally:
        there.end()
        there.join(2)


def test_a_lasting_alert_for_a_service_that_answers_is_one_incident_with_every_alert(
    world: FakeWorld, journal: Journal
) -> None:
    row = AlertRow("LocumServiceDown", "www", "a", "firing", None, None, WOKE)
    there = Worker(context(world, journal))
    there.start()
    try:
        for _ in range(20):
            there.wake("LocumServiceDown", journal.accept([row])[0])
            time.sleep(0.005)
        wait_for(
            lambda: all(row["incident"] for row in journal.alerts()), "every alert belongs to an incident"
        )
        wait_for(lambda: not journal.open_incidents(), "no incident is open")
        lasting, *start_up = journal.incidents()
        assert [row["trigger"] for row in start_up] in (
            [],
            ["start-up"],
        )  # it may have taken in the first alerts
        assert lasting["trigger"] == "LocumServiceDown"
        assert lasting["looks"] > 1
        assert len(journal.alerts()) == 20
    finally:
        there.end()
        there.join(2)


def test_the_worker_survives_a_look_that_breaks(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = world.situation, threading.Event()

    def situation(service: str) -> object:
        if not broken.is_set():
            broken.set()
            raise OSError("no sockets left")
        return real(service)

    monkeypatch.setattr(world, "situation", situation)
    monkeypatch.setattr(worker, "AFTER_FAULT_SECONDS", 0.01)
    there = Worker(context(world, journal))
    there.start()
    try:
        wait_for(broken.is_set, "an observation has failed")
        there.wake("LocumServiceDown")
        wait_for(
            lambda: journal.incidents() and journal.incidents()[0]["outcome"] == "nothing",
            "the first incident ends with nothing to do",
        )
    finally:
        there.end()
        there.join(2)


def test_a_look_that_broke_is_made_again_without_another_alert(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alert may have been the last: Prometheus may be gone, and a patrol does not ask the service."""
    real, left = world.situation, [2]

    def situation(service: str) -> object:
        left[0] -= 1
        if left[0] >= 0:
            raise TimeoutError
        return real(service)

    monkeypatch.setattr(world, "situation", situation)
    monkeypatch.setattr(worker, "AFTER_FAULT_SECONDS", 0.01)
    world.hung.add("a")
    there = Worker(context(world, journal))
    there.start()
    try:
        wait_for(lambda: world.gates["b"].held, "b holds the address")
        wait_for(lambda: journal.incidents()[0]["outcome"] == "takeover", "the incident ends with a takeover")
    finally:
        there.end()
        there.join(2)


@pytest.mark.timed
def test_ten_thousand_alerts_of_a_long_incident_are_counted_to_it_at_once(
    world: FakeWorld, journal: Journal
) -> None:
    row = AlertRow("LocumServiceDown", "www", "a", "firing", None, None, "woke the worker")
    numbers = journal.accept([row] * 10_000)
    there = Worker(context(world, journal))
    for number in numbers:
        there.wake("LocumServiceDown", number)

    def are_counted() -> bool:
        alerts = journal.alerts(10_000)
        return bool(alerts[0]["incident"] and alerts[-1]["incident"])

    there.start()
    begun = time.monotonic()
    try:
        wait_for(
            are_counted,
            "the first and the last alert belong to an incident",
        )
        assert time.monotonic() - begun < 2
    finally:
        there.end()
        there.join(5)


@contextmanager
def handled(there: Context) -> Iterator[Callable[[str], None]]:
    """Handle an incident in a thread; yield what waits until a decision was written down that begins so."""
    ended, journal = threading.Event(), there.journal
    thread = threading.Thread(target=Incident(there, journal.open_incident("www", "x")).handle, args=(ended,))
    thread.start()

    def decided(begins: str) -> None:
        wait_for(
            lambda: any(
                event["kind"] == "decided" and event["text"].startswith(begins)
                for event in journal.incidents()[0]["events"]
            ),
            f"a decision begins with '{begins}'",
            state=journal.incidents,
        )

    try:
        yield decided
        thread.join(20)
    finally:
        ended.set()
        thread.join(20)


def test_b5_a_takeover_that_is_proven_late_is_told_as_one(world: FakeWorld, journal: Journal) -> None:
    """The address has moved and no vantage point reaches it at first: the incident stays open until one does."""
    world.hung.add("a")
    world.through_address = False
    with handled(context(world, journal)) as decided:
        decided(
            "refuse: b serves on its own address and is not reached through the service address (b: no answer)"
        )
        assert journal.incidents()[0]["outcome"] is None
        world.through_address = True
    row = journal.incidents()[0]
    assert row["outcome"] == "takeover"
    said = "(not proven at first; then b got an answer from b: answered 200; not proven from outside: "
    assert said in row["reason"]
    assert journal.holder("www").host == "b"


def test_b5_what_no_other_vantage_point_reaches_is_no_takeover_that_is_done(
    world: FakeWorld, journal: Journal
) -> None:
    """b itself gets an answer through the address, as it always would; c gets none."""
    world.hung.add("a")
    world.through_from_c = Outcome.FAILED
    there = context(world, journal)
    with handled(there) as decided:
        decided("refuse: b serves on its own address and is not reached")
        assert there.metrics.registry.get_sample_value("locum_actuator_reached", {"service": "www"}) == 0
        assert journal.incidents()[0]["outcome"] is None
        world.through_from_c = Outcome.WELL
    assert journal.incidents()[0]["outcome"] == "takeover"
    assert there.metrics.registry.get_sample_value("locum_actuator_reached", {"service": "www"}) == 1


def test_b5_a_check_that_could_not_be_made_does_not_end_a_takeover_that_is_not_proven(
    world: FakeWorld, journal: Journal
) -> None:
    """c got no answer, and then its exporter is too busy to check: that proves nothing."""
    world.hung.add("a")
    world.through_from_c = Outcome.FAILED
    with handled(context(world, journal)) as decided:
        decided("refuse: b serves on its own address and is not reached")
        world.through_from_c = Outcome.NOT_LOOKED
        decided("nothing: ")
        looks = world.looks
        wait_for(lambda: world.looks >= looks + 3, "it goes on checking")
        assert journal.incidents()[0]["outcome"] is None
        world.through_from_c = Outcome.WELL
    assert journal.incidents()[0]["outcome"] == "takeover"


def test_b5_a_respawn_does_not_end_a_takeover_that_is_not_proven(world: FakeWorld, journal: Journal) -> None:
    """Its incident is not over before a client is served, and ends as the takeover that it was."""
    world.hung.add("a")
    world.through_address = False
    with handled(context(world, journal)) as decided:
        decided("refuse: b serves on its own address and is not reached")
        world.gates["b"].processes = 0
        decided("respawn: apache2 is not running on b")
        wait_for(lambda: world.gates["b"].processes, "the service runs on b")
        assert journal.incidents()[0]["outcome"] is None
        world.through_address = True
    row = journal.incidents()[0]
    assert row["outcome"] == "takeover"
    assert "(not proven at first; then b got an answer from b" in row["reason"]


def test_b5_a_proof_by_another_vantage_point_ends_a_takeover(world: FakeWorld, journal: Journal) -> None:
    world.hung.add("a")
    world.through_from_c = Outcome.WELL
    outcome, reason = handle(world, journal)
    assert outcome == "takeover"
    assert "proven" not in reason
    (done,) = [
        event
        for event in journal.incidents()[0]["events"]
        if event["kind"] == "done" and event["step"] == "prove"
    ]
    assert done["text"].endswith("; c got an answer through the service address: its words")


def test_b4_a_holder_that_is_not_reached_is_announced_again_and_then_taken_over(
    world: FakeWorld, journal: Journal
) -> None:
    """Its firewall, say: a answers on its own address, and what comes for the service address is dropped."""
    there = context(world, journal)
    there.loss_history.reached_by(world.reach("www"))
    world.closed_on = {"a"}
    Incident(there, journal.open_incident("www", "x")).handle(threading.Event())
    row = journal.incidents()[0]
    assert row["outcome"] == "takeover"
    assert row["reason"].startswith(
        "a serves on its own address and is not reached through the service address (b: no answer),"
        " and announcing it again did not help"
    )
    assert world.gates["a"].calls[0] == "claim"
    assert journal.holder("www").host == "b"


def test_b4_a_worker_tells_what_its_open_incident_found_last(world: FakeWorld, journal: Journal) -> None:
    """The patrol's last word is of before the fault."""
    there = Worker(context(world, journal))

    def found(outcome: Outcome) -> bool:
        return there.reach is not None and there.reach.outcome is outcome

    there.start()
    try:
        wait_for(lambda: found(Outcome.WELL), "the service is reached through its address")
        world.closed_on = {"a"}
        there.wake("LocumNotReached")
        wait_for(
            lambda: there.incident is not None and found(Outcome.FAILED),
            "an open incident finds the service not reached",
        )
    finally:
        world.closed_on = set()
        there.end()
        there.join(5)


def test_b4_what_was_never_reached_is_told_and_not_moved(world: FakeWorld, journal: Journal) -> None:
    """An address that vantage points cannot reach by design would be moved to and fro after an upgrade."""
    world.closed_on = {"a"}
    with handled(context(world, journal)) as decided:
        decided("refuse: a serves on its own address and is not reached")
        world.closed_on = set()
    assert journal.holder("www").host == "a"


def test_an_address_nobody_held_that_moves_spends_the_budget(world: FakeWorld, journal: Journal) -> None:
    a = world.gates["a"]
    a.held, a.processes, a.start_works = False, 0, False
    assert handle(world, journal)[0] == "claim"
    assert world.gates["b"].held
    assert journal.counts.takeovers_since("www", 0.0) == 1


def test_a_silent_host_whose_echo_comes_late_is_not_taken_over(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.dead, world.late, ended = {"a"}, {"a"}, threading.Event()
    late_echo = world.late_echo

    def once(host: str, since: float, seconds: float) -> bool:
        ended.set()  # the incident would ask again at once, and the step fail again
        return late_echo(host, since, seconds)

    monkeypatch.setattr(world, "late_echo", once)
    incident = Incident(context(world, journal), journal.open_incident("www", "x"))
    incident.handle(ended)
    (failed,) = [event for event in journal.incidents()[0]["events"] if event["kind"] == "failed"]
    assert (failed["step"], failed["text"]) == (
        "confirm",
        "a late echo arrived from a: delay does not prove that the host is down",
    )
    assert world.gates["b"].calls == []
    assert incident.checks.doubtful, "no host was seen to hold the address"


@pytest.mark.usefixtures("virtual")
def test_a_dead_holder_that_a_third_host_hears_again_is_not_taken_over(
    world: FakeWorld, journal: Journal
) -> None:
    """It has its power back while this host cannot hear it, not even on the wire (the campaign found it)."""
    world.dead.add("a")
    world.gates["a"].fault = "timeout"
    world.heard_by_c.add("a")
    incident, ended = Incident(context(world, journal), journal.open_incident("www", "x")), Until(0.3)
    incident.handle(ended)
    failed = [event for event in journal.incidents()[0]["events"] if event["kind"] == "failed"]
    assert {event["text"] for event in failed} == {"a answers c: only the line to it is cut"}
    assert not world.gates["b"].held
    assert world.gates["b"].calls == []


LAST_QUESTION: dict[str, tuple[str, Outcome, bool]] = {
    "refuse: c gets no echo either": ("refuse", Outcome.FAILED, True),
    "refuse: c cannot ask any more": ("refuse", Outcome.NOT_LOOKED, False),
    "refuse: c hears it": ("refuse", Outcome.WELL, False),
    "takeover: c gets no echo either": ("takeover", Outcome.FAILED, True),
    "takeover: c cannot ask, and the site file does not ask it": ("takeover", Outcome.NOT_LOOKED, True),
    "takeover: c hears it": ("takeover", Outcome.WELL, False),
}


@pytest.mark.parametrize("holder", ["a", None], ids=["a holds it", "no holder is known"])
@pytest.mark.parametrize(("policy", "echo", "moves"), LAST_QUESTION.values(), ids=LAST_QUESTION)
@pytest.mark.usefixtures("virtual")
def test_a1_the_last_question_before_a_claim(
    world: FakeWorld,
    journal: Journal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    echo: Outcome,
    moves: bool,
    holder: str | None,
) -> None:
    """A vantage point that lost its rights since the first look confirms nothing."""
    looks = world.situation
    if holder is None:
        journal = Journal(tmp_path / "another.sqlite")

    def with_c(service: str) -> Situation:
        seen = looks(service)
        return replace(seen, hosts={**seen.hosts, "a": replace(seen.hosts["a"], silent_to=("c",))})

    monkeypatch.setattr(world, "situation", with_c)
    world.dead.add("a")
    world.gates["a"].fault = "timeout"
    for outcome, hosts in ((Outcome.WELL, world.heard_by_c), (Outcome.FAILED, world.silent_to_c)):
        if echo is outcome:
            hosts.add("a")
    values = site(when_unreachable=policy)
    incident = Incident(context(world, journal, values), journal.open_incident("www", "x"))
    ended = Until(0.3)
    incident.handle(ended)
    assert world.gates["b"].held == moves
    assert moves or world.gates["b"].calls == []


def test_a_hung_holder_that_let_go_may_be_heard_by_anybody(world: FakeWorld, journal: Journal) -> None:
    world.hung.add("a")
    world.heard_by_c.add("a")
    assert handle(world, journal)[0] == "takeover"


def test_who_holds_it_was_never_in_doubt(world: FakeWorld, journal: Journal) -> None:
    incident = Incident(context(world, journal), journal.open_incident("www", "x"))
    incident.handle(threading.Event())
    assert not incident.checks.doubtful

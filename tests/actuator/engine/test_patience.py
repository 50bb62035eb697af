"""A service that is slow to start is starting, not hung, and nothing stops it while no other host could serve."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.domain import patience
from locum_actuator.domain.patience import end_seconds, longest_plan_seconds, start_call_seconds
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine import attempts
from locum_actuator.engine import incident as incident_module
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.observation.starts import Starts
from locum_actuator.steps import first_answer
from locum_inventory.site.model import Site
from tests.actuator.fakes import FakeGate, FakeWorld, host, site, situation
from tests.actuator.shortcuts import kernel_of
from tests.support.set_time import SetTime, set_time

NEVER = 10**9


@dataclass
class SlowWorld(FakeWorld):
    """Hosts whose service answers only at its nth look after it was started."""

    answers_after: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    dies_after: dict[str, int] = field(default_factory=dict)
    dies_with_host_after: dict[str, int] = field(default_factory=dict)
    ended_after: tuple[threading.Event, int] | None = None
    unfit: dict[str, str] = field(default_factory=dict)

    def situation(self, service: str) -> Situation:
        seen = super().situation(service)
        views = {name: replace(view, unfit=self.unfit.get(name)) for name, view in seen.hosts.items()}
        seen = replace(seen, hosts=views)
        if self.ended_after is not None and self.looks >= self.ended_after[1]:
            self.ended_after[0].set()
        return seen

    def _serves(self, name: str) -> bool:
        gate = self.gates[name]
        if not gate.processes:
            self.asked[name] = 0
            return False
        self.asked[name] += 1
        if self.asked[name] > self.dies_after.get(name, NEVER):
            gate.processes = 0
        if self.asked[name] > self.dies_with_host_after.get(name, NEVER):
            gate.fault = "unreachable"
            self.dead.add(name)
        return super()._serves(name) and self.asked[name] > self.answers_after.get(name, 0)


def slow_site(takeover: dict[str, object] | None = None, **commands: object) -> Site:
    values: dict[str, Any] = site(**(takeover or {})).model_dump(mode="json")
    values["services"]["www"]["commands"] |= commands
    return Site.model_validate(values)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SlowWorld:
    world = SlowWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})
    kernel_of(world.gates["b"], monkeypatch)
    monkeypatch.setattr(first_answer, "STATUS_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(patience, "LEAST_ANSWER_SECONDS", 0.0)
    for name in ("KEEP_LOOKING_SECONDS", "WAITING_SECONDS"):
        monkeypatch.setattr(incident_module, name, 0.01)
    return world


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    return journal


def context(world: SlowWorld, journal: Journal, values: Site) -> Context:
    metrics = Metrics()
    metrics.init_service("www", ("a", "b"))
    return Context(values, "www", journal, metrics, world.gates, world)


def handled(about: Context) -> tuple[str, str]:
    number = about.journal.open_incident("www", "LocumServiceDown")
    Incident(about, number).handle(threading.Event())
    row = about.journal.incidents()[0]
    return row["outcome"], row["reason"]


PATIENT: dict[str, Any] = {"start_timeout": 3600, "respawn_timeout": 3600}
IMPATIENT: dict[str, Any] = {"start_timeout": 0.05, "respawn_timeout": 0.05}


def test_b2_a_takeover_waits_for_a_slow_start_as_long_as_the_site_file_says(
    world: SlowWorld, journal: Journal
) -> None:
    world.dead.add("a")
    world.answers_after["b"] = 8
    outcome, _ = handled(context(world, journal, slow_site(**PATIENT)))
    assert outcome == "takeover"
    assert world.gates["b"].calls == ["start"]
    assert world.gates["b"].held


def test_b2_the_only_host_that_could_serve_is_not_stopped_for_being_slow(
    world: SlowWorld, journal: Journal
) -> None:
    world.dead.add("a")
    world.answers_after["b"] = 40
    about = context(world, journal, slow_site(**IMPATIENT))
    outcome, reason = handled(about)
    assert (outcome, about.journal.holder("www").host) == ("takeover", "b")
    assert "release" not in world.gates["b"].calls
    decided = [event["text"] for event in journal.incidents()[0]["events"] if event["kind"] == "decided"]
    assert any(text.startswith("keep_looking: the service on b is starting") for text in decided), decided
    assert world.gates["b"].held, reason


def test_b2_a_host_that_cannot_be_given_the_service_is_no_other_that_could_serve(
    world: SlowWorld, journal: Journal
) -> None:
    """a hangs, and its interface has lost its carrier: what was stopped on b would be started for nothing there."""
    world.hung.add("a")
    world.unfit["a"] = "its interface eth0 has no carrier"
    world.answers_after["b"] = 40
    about = context(world, journal, slow_site(**IMPATIENT))
    ended = threading.Event()
    over = threading.Timer(10.0, ended.set)
    over.start()
    Incident(about, journal.open_incident("www", "LocumServiceDown")).handle(ended)
    over.cancel()
    assert about.journal.holder("www").host == "b"
    assert world.gates["b"].calls == ["start"]
    assert "claim" not in world.gates["a"].calls


def test_b2_nor_where_it_is_started_after_the_claim(world: SlowWorld, journal: Journal) -> None:
    world.dead.add("a")
    world.answers_after["b"] = 40
    about = context(world, journal, slow_site({"start": "after_claim"}, **IMPATIENT))
    outcome, _ = handled(about)
    assert (outcome, about.journal.holder("www").host) == ("takeover", "b")
    assert world.gates["b"].calls == ["start"]
    assert world.gates["b"].held


def test_b2_where_another_host_could_serve_a_start_that_takes_too_long_is_undone(
    world: SlowWorld, journal: Journal
) -> None:
    world.hung.add("a")
    world.answers_after["b"] = NEVER
    about = context(world, journal, slow_site(**IMPATIENT))
    given_back = threading.Event()

    def restart(*words: Any, **more: Any) -> Any:
        status = change(*words, **more)
        if words[0] == "start":
            world.hung.discard("a")  # it was hung, and a restart helps
            given_back.set()
        return status

    change, world.gates["a"].run_verb = world.gates["a"].run_verb, restart  # type: ignore[method-assign]
    outcome, _ = handled(about)
    assert given_back.is_set()
    assert (outcome, about.journal.holder("www").host) == ("nothing", "a")
    assert "release" in world.gates["b"].calls
    assert world.gates["a"].held


def test_b2_where_the_old_holder_got_it_back_and_failed_again_the_slow_one_is_kept(
    world: SlowWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "TRY_AGAIN_SECONDS", 0.1)
    world.hung.add("a")
    world.answers_after["b"] = 40
    about = context(world, journal, slow_site({"cooldown": 0, "max_per_hour": 60}, **IMPATIENT))
    outcome, _ = handled(about)
    assert (outcome, about.journal.holder("www").host) == ("claim", "b")
    assert world.gates["b"].calls.count("release") == 1


def test_b2_a_process_that_goes_again_is_not_waited_for(world: SlowWorld, journal: Journal) -> None:
    world.dead.add("a")
    world.answers_after["b"], world.dies_after["b"] = NEVER, 3
    about = context(world, journal, slow_site(**PATIENT))
    ended = threading.Event()
    world.ended_after = ended, 2  # the check after the plan
    Incident(about, journal.open_incident("www", "LocumServiceDown")).handle(ended)
    texts = [event["text"] for event in journal.incidents()[0]["events"] if event["kind"] == "failed"]
    assert texts[0] == "started on b, and its process has exited again: no answer"


def test_b2_a_host_that_dies_while_its_service_starts_is_not_waited_for(
    world: SlowWorld, journal: Journal
) -> None:
    """The respawn on a may take an hour, and a loses its power meanwhile."""
    world.gates["a"].processes = 0
    world.answers_after["a"], world.dies_with_host_after["a"] = NEVER, 4
    outcome, _ = handled(context(world, journal, slow_site(respawn="apachectl restart", **PATIENT)))
    assert (outcome, journal.holder("www").host) == ("takeover", "b")


def test_b2_a_holder_that_was_started_a_moment_ago_is_not_taken_over(
    world: SlowWorld, journal: Journal
) -> None:
    """An administrator restarted it, or its host has just booted."""
    world.gates["a"].age = 3.0
    world.answers_after["a"] = 8
    outcome, reason = handled(context(world, journal, slow_site(**PATIENT)))
    assert (outcome, reason) == ("nothing", "b got an answer from a: answered 200")
    assert (world.gates["a"].calls, world.gates["b"].calls) == ([], [])


def test_b2_a_young_service_that_has_answered_and_hangs_is_hung(world: SlowWorld, journal: Journal) -> None:
    about = context(world, journal, slow_site(**PATIENT))
    world.gates["a"].age = 3.0
    assert handled(about)[0] == "nothing"  # a check that it answers
    world.hung.add("a")
    assert handled(about)[0] == "takeover"


def test_b2_a_service_that_is_restarted_again_and_again_is_waited_for_once(
    world: SlowWorld, journal: Journal
) -> None:
    world.gates["a"].age = 0.0  # of whichever of its processes is asked about
    world.hung.add("a")
    assert handled(context(world, journal, slow_site(**IMPATIENT)))[0] == "takeover"


def test_b2_a_respawn_that_takes_too_long_is_not_repeated(world: SlowWorld, journal: Journal) -> None:
    """A second restart would only make a slow starter begin again."""
    world.hung.add("a")
    world.gates["b"].fault = "unreachable"
    world.answers_after["a"] = 60
    values = slow_site({"when_hung": "restart"}, respawn="apachectl restart", **IMPATIENT)
    about = context(world, journal, values)
    hung = threading.Timer(0.5, world.hung.clear)
    hung.start()
    outcome, _ = handled(about)
    hung.join()
    assert outcome == "nothing"
    assert world.gates["a"].calls == ["respawn"]


ROWS: dict[str, tuple[Situation, Memory, tuple[str, str]]] = {
    "young, and it has not answered": (
        situation(host("a", holds=True, processes=3, age=5.0), host("b")),
        Memory("a", 1, starting={"a": 5.0}),
        ("keep_looking", "starting"),
    ),
    "not young": (
        situation(host("a", holds=True, processes=3, age=500.0), host("b")),
        Memory("a", 1),
        ("takeover", "takeover"),
    ),
    "its start command still runs, and no process is there": (
        situation(host("a", holds=True, processes=0, underway="start"), host("b")),
        Memory("a", 1, starting={"a": 5.0}),
        ("keep_looking", "starting"),
    ),
    "a claim is under way, which starts nothing": (
        situation(host("a", holds=True, processes=0, underway="claim"), host("b")),
        Memory("a", 1),
        ("respawn", "absent"),
    ),
    "young, and it has gone": (
        situation(host("a", holds=True, processes=0), host("b")),
        Memory("a", 1, starting={"a": 5.0}),
        ("respawn", "absent"),
    ),
    "young, respawned in this incident, and its time is over": (
        situation(host("a", holds=True, processes=3, age=5.0), host("b")),
        Memory("a", 1, starting={"a": 5.0}, tried=frozenset({"respawn:a"})),
        ("takeover", "takeover"),
    ),
    "young, and it answers": (
        situation(host("a", holds=True, processes=3, serves=True, age=5.0), host("b")),
        Memory("a", 1, starting={"a": 5.0}),
        ("nothing", "well"),
    ),
    "the standby was started for a takeover and is slow": (
        situation(host("a", echoes=(0, 20), gate="no answer"), host("b", processes=3, age=70.0)),
        Memory("a", 1, slow=frozenset({"b"})),
        ("keep_looking", "starting"),
    ),
    "the slow standby answers": (
        situation(host("a", echoes=(0, 20), gate="no answer"), host("b", processes=3, serves=True, age=90.0)),
        Memory("a", 1, slow=frozenset({"b"})),
        ("takeover", "takeover"),
    ),
    "the slow standby's process has gone": (
        situation(host("a", echoes=(0, 20), gate="no answer"), host("b", processes=0)),
        Memory("a", 1, slow=frozenset({"b"})),
        ("takeover", "takeover"),
    ),
    "no host holds the address, and the slow standby does not answer yet": (
        situation(host("a", processes=0, gate=None), host("b", processes=3, age=70.0)),
        Memory("a", 1, slow=frozenset({"b"}), tried=frozenset({"take:a"})),
        ("keep_looking", "starting"),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_b2_table(row: str) -> None:
    seen, memory, wanted = ROWS[row]
    service = slow_site(respawn="apachectl restart").services["www"]
    plan = decide(seen, memory, service)
    assert (plan.kind, plan.code) == wanted, plan.reason


def test_b1_hooks_and_address_commands_are_part_of_the_longest_plan() -> None:
    """The watchdog would else end the actuator in the middle of a plan whose hooks take what they may."""
    values: dict[str, Any] = site().model_dump(mode="json")
    plain = Site.model_validate(values)
    steps = ("takeover", "release", "start", "claim", "prove")
    values["services"]["www"]["hooks"] = {
        f"{when}_{step}": {"command": "true", "timeout": 300}
        for step in steps
        for when in ("before", "after")
    }
    hooked = Site.model_validate(values)
    more = longest_plan_seconds(hooked, hooked.services["www"])
    assert more >= longest_plan_seconds(plain, plain.services["www"]) + 10 * 300
    del values["services"]["www"]["addresses"], values["services"]["www"]["interface"]
    commands = {"claim": "true", "check": "true", "timeout": 60}
    values["services"]["www"]["address_commands"] = commands
    moved = Site.model_validate(values)
    assert longest_plan_seconds(moved, moved.services["www"]) >= more + 5 * 60


@pytest.fixture
def clocks() -> Iterator[SetTime]:
    with set_time() as clocks:
        yield clocks


def test_a_start_is_known_by_its_age_and_by_what_was_seen_since(clocks: SetTime) -> None:
    starts = Starts()

    def look(**facts: Any) -> dict[str, float]:
        starts.looked(situation(host("a", **facts), host("b")))
        return dict(starts.starting(60.0))

    assert look(processes=3, age=10.0) == {"a": 10.0}
    assert look(processes=3, serves=True, age=10.5) == {}
    clocks.pass_by(5)
    assert look(processes=3, age=15.5) == {}  # it hangs
    clocks.pass_by(5)
    assert look(processes=3, age=1.0) == {"a": 1.0}  # it was restarted
    clocks.pass_by(70)
    assert look(processes=3, age=71.0) == {}
    assert look(processes=0, underway="start") == {"a": 71.0} or look(underway="start") is not None
    assert look(processes=0) == {}
    assert look(gate="silent") == {}


def test_a_start_of_a_service_that_names_no_process_is_known_by_its_command(clocks: SetTime) -> None:
    starts = Starts()
    starts.began("a")
    clocks.pass_by(5)
    starts.looked(situation(host("a", processes=None), host("b")))
    assert starts.starting(60.0) == {"a": 5.0}
    starts.served("a")
    assert starts.starting(60.0) == {}


def test_deadlines_follow_the_site_file() -> None:
    short, long = (
        slow_site(start_timeout=1, stop_timeout=1),
        slow_site(start_timeout="5m", stop_timeout="60s"),
    )
    for values in (short, long):
        service = values.services["www"]
        assert service.commands is not None
        assert start_call_seconds(service) > service.commands.start_timeout + service.commands.stop_timeout
        assert longest_plan_seconds(values, service) > start_call_seconds(service)
    assert end_seconds(short) == 60
    assert end_seconds(long) == 300
    assert end_seconds(slow_site(start_timeout="100s", stop_timeout="10s")) == 140

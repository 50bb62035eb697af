"""What takes a plan back: a host that could not be asked, signs of life, a host that may still hold the address."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.domain.life import NO_LIFE, Life
from locum_actuator.domain.plan import Plan
from locum_actuator.domain.situation import CheckOutcome, HostView, Memory, Situation
from locum_actuator.engine import attempts
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.observation.event_loop_lag import TOO_LATE_FOR_A_GATE_SECONDS, EventLoopLag
from locum_actuator.observation.life_signs import GATE_SECONDS, LifeSigns
from locum_exporter.result import Outcome
from locum_inventory.site.model import Site
from tests.actuator.fakes import host, site, situation
from tests.actuator.steps.fence_scripts import actions
from tests.actuator.steps.fenced_world import FencedWorld, fenced_world, with_fence
from tests.support.set_time import set_time

STANDBY = host("b", processes=0)


def silent(*, echoes: tuple[int, int] = (20, 20), life: Life = NO_LIFE, asked: bool = True) -> HostView:
    return replace(
        host("a", gate="no answer within 0.4 s", echoes=echoes, fenceable=True), life=life, gate_asked=asked
    )


def confirmed_nothing(*, processes: int = 0, held: bool = False, fenceable: bool = True) -> HostView:
    return host("a", processes=processes, holds=held, fenceable=fenceable)


def plan(seen: Situation, memory: Memory | None = None, **takeover: object) -> Plan:
    return decide(seen, memory or Memory("a", 1), site(**takeover).services["www"])


@dataclass(frozen=True)
class Row:
    name: str
    view: HostView
    kind: str
    code: str
    reason: str = ""


def unseen_from_c(view: HostView, outcome: Outcome) -> Situation:
    """A host that b finds silent, and what c found."""
    look = CheckOutcome("c", outcome, "http could not be checked (exporter)", "exporter")
    return situation(replace(view, looks=(*view.looks, look)), STANDBY)


@pytest.mark.parametrize("fenceable", [True, False])
def test_a1_who_could_not_look_is_waited_for_before_a_silent_host_is_given_up(*, fenceable: bool) -> None:
    """b's line to a was cut for five seconds while c's exporter was being started again: a was switched off."""
    view, young = replace(silent(echoes=(0, 20)), fenceable=fenceable), Memory("a", 1, may_wait=True)
    waits = plan(unseen_from_c(view, Outcome.NOT_LOOKED), young)
    assert (waits.kind, waits.code) == ("keep_looking", "could_not_look")
    assert "c could not check whether only the line to it is cut" in waits.reason
    assert plan(unseen_from_c(view, Outcome.NOT_LOOKED)).kind == "takeover", "not for ever: a may be dead"
    assert plan(unseen_from_c(view, Outcome.FAILED), young).kind == "takeover", "c has looked"
    assert plan(situation(view, STANDBY), young).kind == "takeover", (
        "two hosts: there is no third vantage point to wait for"
    )
    alive = replace(silent(), fenceable=True)
    assert plan(unseen_from_c(alive, Outcome.NOT_LOOKED), young).kind == "takeover", "b hears it: no cut line"


SIGNS_OF_LIFE = [
    Row("nothing of it is heard: fenced", silent(), "takeover", "takeover"),
    Row("dead: fenced", silent(echoes=(0, 20)), "takeover", "takeover"),
    Row(
        "its gate answered another service a moment ago",
        silent(life=Life("its gate answered 0.3 s ago")),
        "keep_looking",
        "mixed",
        "a is not switched off: its gate answered 0.3 s ago",
    ),
    Row(
        "its gate could not be asked once more",
        silent(life=Life(unasked="too many open files")),
        "keep_looking",
        "could_not_look",
        "a is not switched off: its gate could not be asked once more: too many open files",
    ),
    Row(
        "… nor of a host that answers no ping",
        silent(echoes=(0, 20), life=Life(unasked="too many open files")),
        "keep_looking",
        "could_not_look",
    ),
    Row(
        "another service answers on it",
        silent(life=Life(services=("mail",))),
        "refuse",
        "host_serves",
        "a is not switched off: mail answers on it; repair its gate, or move mail away first",
    ),
    Row(
        "two other services answer on a host that answers no ping",
        silent(echoes=(0, 20), life=Life(services=("dns", "mail"))),
        "refuse",
        "host_serves",
        "a is not switched off: dns and mail answer on it; repair its gate, or move dns and mail away first",
    ),
    Row(
        "its gate could not be asked",
        silent(asked=False),
        "keep_looking",
        "could_not_look",
        "the gate of a: no answer within 0.4 s",
    ),
    Row(
        "… nor of a host that answers no ping",
        silent(echoes=(0, 20), asked=False),
        "keep_looking",
        "could_not_look",
    ),
]


@pytest.mark.parametrize("row", SIGNS_OF_LIFE, ids=lambda row: row.name)
@pytest.mark.parametrize("holder", ["a", None])
def test_a2_a_host_is_switched_off_only_if_nothing_of_it_is_heard(row: Row, holder: str | None) -> None:
    if holder is None and row.view.liveness != "dead":
        pytest.skip("at the first start a host that answers ping is never fenced")
    decided = plan(situation(row.view, STANDBY), Memory(holder, 1))
    assert (decided.kind if holder else row.kind, decided.code if holder else row.code) == (
        row.kind,
        row.code,
    )
    assert ("fence" in {step.name for step in decided.steps}) is (row.kind == "takeover")
    assert row.reason in decided.reason


@pytest.mark.parametrize("unreachable", ["takeover", "refuse"])
@pytest.mark.parametrize("echoes", [(0, 20), (20, 20)])
def test_a2_a_gate_that_could_not_be_asked_moves_nothing(unreachable: str, echoes: tuple[int, int]) -> None:
    view = replace(silent(echoes=echoes, asked=False), fenceable=False, silent_to=("c",))
    decided = plan(situation(view, STANDBY), when_unreachable=unreachable)
    assert (decided.kind, decided.code) == ("keep_looking", "could_not_look")


@pytest.mark.parametrize("unreachable", ["takeover", "refuse"])
@pytest.mark.parametrize("holder", ["a", None])
@pytest.mark.parametrize("fenceable", [True, False])
def test_a10_a_gate_that_does_not_know_the_service_is_no_dead_host(
    unreachable: str, holder: str | None, *, fenceable: bool
) -> None:
    """Its host filters pings; it was not enrolled since the service was added."""
    view = silent(echoes=(0, 20), life=Life("its gate answers (the gate does not know www)"))
    view = replace(view, fenceable=fenceable, silent_to=("c",))
    decided = plan(situation(view, STANDBY), Memory(holder, 1), when_unreachable=unreachable)
    assert (decided.kind, decided.code, decided.steps) == ("refuse", "unfenced", ())
    assert decided.reason == "a may hold the address, and its gate answers (the gate does not know www)"


def test_a11_a_gate_that_does_not_know_the_service_confirms_nothing() -> None:
    view = silent(echoes=(0, 20), life=Life("its gate answers (the gate does not know www)"))
    seen = situation(replace(view, fenceable=False), host("b"), host("c"))
    decided = plan(seen, Memory("b", 1, unconfirmed=frozenset({"a"})), when_unreachable="takeover")
    assert (decided.kind, decided.code) == ("refuse", "unfenced")


def test_a2_a_release_that_failed_fences_no_host_on_which_others_answer() -> None:
    view = replace(confirmed_nothing(processes=3, held=True), life=Life("its gate answers", ("mail",)))
    memory = Memory("a", 1, tried=frozenset({"release:a"}))
    assert plan(situation(view, STANDBY), memory).code == "host_serves"
    alone = replace(view, life=Life("its gate answers"))
    assert str(plan(situation(alone, STANDBY), memory).steps[0]) == "fence on a"


async def test_a2_a_gate_is_not_silent_where_this_host_was_too_busy() -> None:
    async with EventLoopLag() as lag:
        lag.seconds = TOO_LATE_FOR_A_GATE_SECONDS + 0.1
        seen = lag.discount(silent(), "b")
    assert not seen.gate_asked
    assert seen.gate_fault == "this host was 300 ms too busy to check: no answer within 0.4 s"


def test_a2_an_answer_of_a_gate_is_a_sign_of_life_for_a_second() -> None:
    with set_time() as clocks:
        signs = LifeSigns()
        assert signs.gate_seconds("a") is None
        signs.gate_answered("a")
        clocks.pass_by(GATE_SECONDS / 2)
        assert signs.gate_seconds("a") == GATE_SECONDS / 2
        clocks.pass_by(GATE_SECONDS)
        assert signs.gate_seconds("a") is None


# -- a host that may still hold -----------------------------------------------------------------------------------

BOTH_FAILED = frozenset({"release:a", "fence:a"})


@pytest.mark.parametrize("tried", [frozenset(), frozenset({"release:a"}), BOTH_FAILED], ids=len)
@pytest.mark.parametrize("fenceable", [True, False])
@pytest.mark.parametrize("holder", ["a", "b", None])
def test_a11_what_was_not_confirmed_stays_so(
    tried: frozenset[str], holder: str | None, *, fenceable: bool
) -> None:
    """a was asked to let go and did not confirm it; no host seems to hold, and its service still runs."""
    memory = Memory(holder, 1, tried=tried | {"take:a"}, unconfirmed=frozenset({"a"}))
    decided = plan(situation(confirmed_nothing(processes=3, fenceable=fenceable), STANDBY), memory)
    claims = [step.host for step in decided.steps if step.name == "claim"]
    expels = [step.host for step in decided.steps if step.name in {"release", "fence"}]
    assert not claims or "a" in expels
    assert claims != ["a"]
    if tried == BOTH_FAILED and (fenceable or holder != "a"):
        assert (decided.kind, decided.code) == ("refuse", "unfenced")


def test_a11_its_gate_says_that_it_let_go() -> None:
    memory = Memory("a", 1, tried=BOTH_FAILED, unconfirmed=frozenset({"a"}))
    decided = plan(situation(confirmed_nothing(), STANDBY), memory)
    assert decided.kind == "claim"


def test_a11_the_site_file_accepts_a_fence_that_was_not_confirmed() -> None:
    memory = Memory(None, 1, tried=BOTH_FAILED | {"take:a"}, unconfirmed=frozenset({"a"}))
    seen = situation(confirmed_nothing(processes=3), replace(STANDBY, looks=host("b", serves=True).looks))
    assert plan(seen, memory).code == "unfenced"
    assert plan(seen, memory, when_fence_unconfirmed="takeover").target == "b"


def test_a11_a_dead_host_that_could_not_confirm_is_like_any_dead_host() -> None:
    dead = host("a", echoes=(0, 20), gate="no answer within 0.4 s")
    memory = Memory("a", 1, tried=frozenset({"release:a"}), unconfirmed=frozenset({"a"}))
    assert plan(situation(dead, STANDBY), memory).kind == "takeover"
    assert plan(situation(dead, STANDBY), memory, when_unreachable="refuse").code == "unreachable"
    elsewhere = replace(memory, holder=None)
    assert plan(situation(dead, STANDBY), elsewhere, when_unreachable="refuse").kind == "refuse"


def test_a11_two_that_hold_are_told_apart_all_the_same() -> None:
    """A third host that may hold does not prevent releasing the one that should not."""
    third = host("c", echoes=(0, 20), gate="no answer")
    seen = situation(host("a", holds=True, serves=True), host("b", holds=True), third)
    decided = plan(seen, Memory("a", 1, unconfirmed=frozenset({"c"})))
    assert [str(step) for step in decided.steps] == ["release on b", "claim on a"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FencedWorld:
    return fenced_world(monkeypatch, tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    return journal


def handle(
    world: FencedWorld, journal: Journal, values: Site, seconds: float = 2.0, until: str | None = None
) -> list[str]:
    """Handle an incident for so long at most, or until a decision begins so; return what it refused and did."""
    metrics, ended = Metrics(), threading.Event()
    metrics.init_service("www", ("a", "b"))
    timer = threading.Timer(seconds, ended.set)
    timer.start()
    note = journal.note

    def noted(incident: int, kind: str, text: str, **fields: Any) -> None:
        note(incident, kind, text, **fields)
        if until is not None and kind == "decided" and text.startswith(until):
            ended.set()

    context = Context(values, "www", journal, metrics, world.gates, world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "note", noted)
        Incident(context, journal.open_incident("www", "LocumServiceDown")).handle(ended)
    timer.cancel()
    return [f"{e['kind']} {e['step'] or e['text']}" for e in journal.incidents()[0]["events"]]


def test_a2_a_host_is_asked_once_more_before_it_is_switched_off(
    world: FencedWorld, journal: Journal, tmp_path: Path
) -> None:
    """Its gate is silent to this service; mail, on the same host, answers."""
    world.gates["a"].fault = "timeout"
    world.lives["a"] = Life(services=("mail",))
    course = handle(world, journal, with_fence(tmp_path, "honest"))
    assert world.asked[:1] == ["a"]
    assert not actions(tmp_path)
    assert not world.gates["b"].held
    assert any(
        line.startswith("decided refuse: a is not switched off: mail answers on it") for line in course
    )
    assert journal.counts.takeovers_since("www", 0.0) == 0


def test_a11_release_and_fence_failed_and_nobody_seems_to_hold(
    world: FencedWorld, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is off, the service on a runs on and cannot be stopped, and no device works."""
    monkeypatch.setattr(attempts, "TRY_AGAIN_SECONDS", 60.0)
    world.gates["a"].held = False
    world.gates["a"].refuse = {"release": "failed", "claim": "failed", "start": "failed"}
    values = with_fence(tmp_path, "claims success and never is")
    course = handle(world, journal, values, seconds=4.0, until="refuse: no host holds the address")
    assert course[-1].startswith("decided refuse: no host holds the address and b can serve, but the s")
    assert {"failed release", "failed fence"} <= set(course)
    assert not world.gates["b"].held
    assert journal.unconfirmed("www") == {"a"}


def test_a11_it_is_remembered_after_a_restart_until_the_host_confirms(
    world: FencedWorld, journal: Journal, tmp_path: Path
) -> None:
    number = journal.open_incident("www", "x")
    journal.note(number, "failed", "no answer", step="release", host="a")
    journal.close_incident(number, "refused", "by hand")
    journal.close()
    again = Journal(tmp_path / "journal.sqlite")
    assert again.unconfirmed("www") == {"a"}
    world.gates["a"].held, world.gates["a"].processes = False, 0
    world.dead.clear()
    course = handle(world, again, with_fence(tmp_path, "honest"))
    assert "confirmed a reports that it neither holds the address nor runs the service" in course
    assert again.unconfirmed("www") == frozenset()


@pytest.mark.parametrize("kind", ["failed", "started", "undo_failed"])
@pytest.mark.parametrize("step", ["release", "fence", "claim", "start"])
@pytest.mark.parametrize("settled", ["done", "already"])
def test_a11_the_last_word_about_a_host_counts(journal: Journal, kind: str, step: str, settled: str) -> None:
    number = journal.open_incident("www", "x")
    journal.note(number, kind, "", step=step, host="a")
    journal.note(number, "hook", "", step="claim", host="a")
    assert journal.unconfirmed("www") == {"a"}
    assert journal.unconfirmed("mail") == frozenset()
    journal.note(number, settled, "", step="release", host="a")
    assert journal.unconfirmed("www") == frozenset()

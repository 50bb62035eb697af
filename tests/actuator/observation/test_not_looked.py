"""Every reader of a check's result, with every reason: what could not be looked at is neither well nor failed."""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from locum_actuator.decision.failover import decide
from locum_actuator.domain.ports import Confirmed
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView, Memory, Situation
from locum_actuator.observation import address_owners
from locum_actuator.observation.gate_reports import NoGateAnswer
from locum_actuator.observation.observer import HostObserver
from locum_actuator.observation.service_check import joined
from locum_actuator.observation.vantage_points import Answer, ask, asking_session, hears
from locum_actuator.page.check_health import judge
from locum_actuator.page.check_results import Vote, read_votes
from locum_actuator.steps.plan_evidence import SILENT_SECONDS
from locum_actuator.system import runtime
from locum_exporter.metrics import ResultCollector
from locum_exporter.net.icmp import Burst
from locum_exporter.result import (
    NOT_LOOKED_REASONS,
    REASON_CLASSES,
    CheckResult,
    Outcome,
    Reason,
    class_of,
    gravest_reason,
    outcome_of,
    service_outcome,
)
from locum_inventory.site.model import Site
from tests.actuator.fakes import FakeWorld, KeptFakes, site
from tests.support.http_server import QuietHandler, http_server

ROOT = Path(__file__).parents[3]
REASONS: tuple[Reason | None, ...] = (None, *REASON_CLASSES)


def exposition(reason: Reason | None) -> str:
    registry = CollectorRegistry()
    registry.register(ResultCollector(CheckResult(reason, 0.1)))
    return generate_latest(registry).decode()


def exposition_of_0_1_0(reason: Reason | None) -> str:
    """What an exporter of version 0.1.0 says: a check that could not be made has failed."""
    failure = "" if reason is None else f'locum_check_failure{{reason="{reason}"}} 1.0\n'
    return f"locum_check_success {float(reason is None)}\n{failure}"


@contextmanager
def exporter(body: str, status: int = 200) -> Iterator[str]:
    """An exporter that answers every question alike."""

    class Handler(QuietHandler):
        def get(self) -> None:
            self.answer(body, status)

    with http_server(Handler) as at:
        yield at.url


async def asked(url: str) -> Answer:
    async with asking_session() as session:
        return await ask(
            session, "c", url, name="www", service=site().services["www"], host="a", deadline_seconds=5.0
        )


async def heard(url: str) -> Outcome:
    async with asking_session() as session:
        return await hears(session, url, "a", 5.0)


def test_an_outcome_cannot_be_read_as_a_bool() -> None:
    for one in Outcome:
        with pytest.raises(TypeError, match="three values"):
            bool(one)


@pytest.mark.parametrize("reason", REASONS)
def test_a1_what_goes_over_the_wire(reason: Reason | None) -> None:
    lines = exposition(reason).splitlines()
    looked = reason not in NOT_LOOKED_REASONS
    assert f"locum_check_looked {float(looked)}" in lines
    success = [line for line in lines if line.startswith("locum_check_success ")]
    assert success == ([f"locum_check_success {float(reason is None)}"] if looked else [])


@pytest.mark.parametrize("said_by", [exposition, exposition_of_0_1_0])
@pytest.mark.parametrize("reason", REASONS)
async def test_a1_another_vantage_point(
    reason: Reason | None, said_by: Callable[[Reason | None], str]
) -> None:
    with exporter(said_by(reason)) as url:
        answer = await asked(url)
        assert await heard(url) is outcome_of(reason)
    assert (answer.look.outcome, answer.echo) == (outcome_of(reason), outcome_of(reason))
    assert answer.look.reason == reason


NO_ANSWERS = {
    "nothing": "",
    "no metrics": "<html>it works</html>",
    "success without a word": "locum_check_success 0\n",
    "both": exposition("refused").replace("success 0.0", "success 1.0"),
    "neither": exposition("refused").replace("locum_check_success 0.0\n", ""),
    "a reason of another version": exposition("refused").replace("refused", "moonlight"),
    "a NaN": exposition("refused").replace("success 0.0", "success NaN"),
}


@pytest.mark.parametrize("body", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_a1_an_answer_that_cannot_be_read_says_nothing(body: str) -> None:
    with exporter(body) as url:
        answer = await asked(url)
    assert (answer.look.outcome, answer.echo) == (Outcome.NOT_LOOKED, Outcome.NOT_LOOKED)


async def test_a1_an_exporter_that_refuses_or_is_not_there_says_nothing() -> None:
    with exporter("locum_check_success 0\n", 404) as url:
        assert (await asked(url)).echo is Outcome.NOT_LOOKED
    assert (await asked(url)).echo is Outcome.NOT_LOOKED


def test_b10_a_second_card_of_the_holder_is_the_holder_and_no_stranger() -> None:
    """The wire was asked before the gates had reported whose the MAC is."""
    evidence = HostObserver(site(), KeptFakes(FakeWorld({})))
    second, stranger = "unknown MAC 02:00:00:00:00:02", "unknown MAC 02:00:00:00:00:09"
    try:
        heard = (frozenset({"b"}), frozenset({second, stranger}))
        assert evidence._owners.settled(heard) == heard
        evidence._gates.macs.learn("a", frozenset({"02:00:00:00:00:01", "02:00:00:00:00:02"}))
        assert evidence._owners.settled(heard) == (frozenset({"a", "b"}), frozenset({stranger}))
        assert evidence._owners.host_of(second) == "a", "later looks and confirmations know it at once"
        assert evidence._owners.settled(None) is None
    finally:
        evidence.close()


def test_b14_a_look_that_does_not_end_is_no_look_and_not_a_fault_of_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a machine that was all but standing still the worker stumbled over it, with a traceback in the log."""
    evidence = HostObserver(site(), KeptFakes(FakeWorld({})))

    def late(work: Any, _: float) -> Situation:
        work.close()
        raise TimeoutError("this host was too busy to check")

    monkeypatch.setattr(evidence, "_run", late)
    try:
        situation = evidence.situation("www")
        assert evidence._recent_lag.allowance_seconds() > 0, "the next look has more time"
    finally:
        monkeypatch.undo()
        evidence.close()
    assert not any(view.looked_at or view.gate_asked for view in situation.hosts.values())
    assert not situation.address_looked
    for holder in (None, "a", "b"):
        plan = decide(situation, Memory(holder=holder, epoch=1), site().services["www"])
        assert (plan.kind, plan.code, plan.steps) == ("keep_looking", "could_not_look", ())
        assert "too busy to check" in plan.reason


BUSY = "this host was too busy to check: not finished within"


def test_b14_what_this_host_is_too_busy_to_check_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended a step as broken, and the start of a service as failed."""
    evidence = HostObserver(site(), KeptFakes(FakeWorld({})))

    def never_run(work: Coroutine[Any, Any, object], loop: asyncio.AbstractEventLoop) -> Future[object]:
        work.close()
        return Future()

    def late(call: Future[object], timeout: float | None = None) -> object:
        raise TimeoutError

    try:
        with monkeypatch.context() as busy:
            busy.setattr(asyncio, "run_coroutine_threadsafe", never_run)
            busy.setattr(runtime, "result", late)
            for seen in (evidence.service_on("www", "a"), *(evidence.reach("www") or Reach()).outside):
                assert (seen.outcome, seen.reason) == (Outcome.NOT_LOOKED, "busy")
                assert seen.text.startswith(BUSY)
            assert evidence.confirm("www", "a") == Confirmed(witnessed=False, owners=None)
            assert evidence.echoes("a") is None
            with pytest.raises(TimeoutError, match=BUSY):
                evidence.witness_answers()
            with pytest.raises(TimeoutError, match=BUSY):
                evidence.late_echo("a", 0.0, 0.0)
    finally:
        evidence.close()


@pytest.mark.parametrize(("lag", "seconds"), [(0.0, 0.3), (0.1, 0.5), (2.0, 0.6)])
def test_b14_a_busy_host_waits_longer_for_who_has_the_address_but_not_until_that_is_too_old(
    monkeypatch: pytest.MonkeyPatch, lag: float, seconds: float
) -> None:
    waited: list[float] = []

    async def address_check(
        neighbours: object, site: Site, name: str, deadline: float, **_: Any
    ) -> CheckResult:
        waited.append(deadline)
        return CheckResult("timeout", deadline)

    monkeypatch.setattr(address_owners, "address_check", address_check)
    evidence = HostObserver(site(), KeptFakes(FakeWorld({})))
    evidence._recent_lag.saw(lag)
    try:
        assert evidence._run(evidence._owners.ask("www"), 1.0) is None
    finally:
        evidence.close()
    assert waited == [pytest.approx(seconds)]
    assert waited[0] < SILENT_SECONDS - 0.2


@pytest.mark.parametrize("reason", REASONS)
def test_a1_who_pings_a_host_that_this_one_does_not_hear(reason: Reason | None) -> None:
    """An exporter without CAP_NET_RAW is no second witness of a silent host."""
    evidence = HostObserver(site(), KeptFakes(FakeWorld({})))
    try:
        view = evidence._hosts.combine(
            "www",
            "a",
            time.monotonic(),
            burst=Burst(20, 0, ()),
            gate=NoGateAnswer("no answer"),
            here=CheckOutcome("b", Outcome.FAILED, "refused", "refused"),
            elsewhere=[Answer(CheckOutcome("c", outcome_of(reason), "", reason), outcome_of(reason))],
        )
    finally:
        evidence.close()
    assert view.pinged_by == (("c",) if reason is None else ())
    assert view.silent_to == (("c",) if outcome_of(reason) is Outcome.FAILED else ())
    assert view.serves == (reason is None)


def test_a8_a_late_echo_is_one_for_every_reader() -> None:
    """A request for what locum would do checks too, and must not use up what a plan under way has to judge."""
    evidence = HostObserver(site(), KeptFakes(FakeWorld({})))
    here, since = CheckOutcome("b", Outcome.FAILED, "refused", "refused"), time.monotonic()

    def look() -> HostView:
        return evidence._hosts.combine(
            "www", "a", since, burst=Burst(20, 0, ()), gate=NoGateAnswer("no answer"), here=here, elsewhere=()
        )

    try:
        assert look().silent_since == since
        assert not evidence.late_echo("a", since, 0.0)
        evidence._pinger._heard_at[site().hosts["a"].address.packed] = time.monotonic()
        assert look().silent_since is None
        assert [evidence.late_echo("a", since, 0.0) for _ in range(3)] == [True, True, True]
        assert not evidence.late_echo("a", time.monotonic() + 1.0, 0.0)
    finally:
        evidence.close()


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("check", ["http", "tcp", "process", "ping"])
def test_a1_the_page(check: str, reason: Reason | None) -> None:
    about = {"service": "www", "host": "a", "check": check, "vantage_point": "c"}
    series = []
    for line in exposition(reason).splitlines():
        name, _, value = line.rpartition(" ")
        if name in {"locum_check_success", f'locum_check_failure{{reason="{reason}"}}'}:
            labels = {"__name__": name.partition("{")[0], **about}
            if reason is not None and "failure" in name:
                labels["reason"] = reason
            series.append({"metric": labels, "value": [1.0, value]})
    (seen,) = read_votes({"data": {"result": series}}).votes["www", "a", check]
    assert seen == Vote("c", service_outcome(check, reason), reason)
    verdict = {Outcome.WELL: "ok", Outcome.FAILED: "bad", Outcome.NOT_LOOKED: "unknown"}
    assert judge((seen,), may_be_off=False).verdict == verdict[seen.outcome]
    well = Vote("b", Outcome.WELL)
    assert judge((well, seen), may_be_off=False).verdict == (
        "mixed" if seen.outcome is Outcome.FAILED else "ok"
    )


@pytest.mark.parametrize("reason", REASONS)
def test_a1_several_addresses_of_one_service(reason: Reason | None) -> None:
    well, this = (
        CheckOutcome("b", Outcome.WELL, "200"),
        CheckOutcome("b", outcome_of(reason), "words", reason),
    )
    assert joined([well, this]).outcome is outcome_of(reason)
    assert joined([this, CheckOutcome("b", Outcome.FAILED, "no", "timeout")]).outcome is Outcome.FAILED


@pytest.mark.parametrize("reason", REASONS)
def test_a1_several_checks_of_one_service(reason: Reason | None) -> None:
    assert gravest_reason([None, reason]) == reason
    assert outcome_of(gravest_reason([reason, "refused"])) is Outcome.FAILED
    assert outcome_of(gravest_reason([reason, "permission"])) is (
        Outcome.FAILED if outcome_of(reason) is Outcome.FAILED else Outcome.NOT_LOOKED
    )


def test_a_gate_that_is_silent_is_no_absent_process() -> None:
    assert service_outcome("process", "absent") is Outcome.FAILED
    assert service_outcome("process", None) is Outcome.WELL
    others = set(get_args(Reason)) - {"absent"}
    assert {service_outcome("process", reason) for reason in others} == {Outcome.NOT_LOOKED}


def test_a_reason_of_another_version_says_nothing_of_the_target() -> None:
    assert class_of("moonlight") == "not_looked"
    with pytest.raises(ValueError, match="'moonlight' is not a reason"):
        CheckResult("moonlight", 0.1)  # type: ignore[arg-type]


def test_every_reason_that_a_check_gives_is_in_the_table() -> None:
    given = {
        argument.value
        for path in (ROOT / "exporter" / "locum_exporter").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in {"CheckResult", "_CheckFailedError", "NeighbourError", "Echo"}
        for argument in call.args[:2]
        if isinstance(argument, ast.Constant)
        and isinstance(argument.value, str)
        and argument.value.isidentifier()
    }
    assert len(given) > 5
    assert given <= set(REASON_CLASSES)

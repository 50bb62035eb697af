"""Steps run in order, the journal hears of each before and after, and a fault undoes what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest

from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.ports import Confirmed
from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps import plan_evidence, release
from locum_actuator.steps.base import StepContext, StepError
from locum_actuator.steps.plan_evidence import PlanEvidence
from locum_actuator.steps.runner import Outcome, Sequence
from locum_actuator.steps.start import Start
from locum_actuator.system import netlink
from locum_exporter import result
from locum_inventory import since_boot
from locum_inventory.enrolment import boot_guard
from locum_inventory.gate.protocol import GateError, ServiceStatus, Verb
from locum_inventory.site.model import InterfaceAddress, Site
from tests.actuator.fakes import FakeGate, FakeWorld, site
from tests.actuator.shortcuts import be_impatient, in_no_time, kernel_of


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FakeWorld:
    """a holds the address and hangs; b stands by. The kernel of b is b's fake shell."""
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()}, hung={"a"})
    kernel_of(world.gates["b"], monkeypatch)
    in_no_time(monkeypatch)
    return world


def run(
    world: FakeWorld,
    journal: Journal,
    *steps: PlannedStep,
    epoch: int = 2,
    values: Site | None = None,
    evidence: PlanEvidence | None = None,
) -> Outcome:
    values = values or site()
    context = StepContext(
        values,
        "www",
        world.gates,
        world,
        epoch,
        "a",
        evidence=evidence or PlanEvidence(),
    )
    incident = journal.open_incident("www", "test")
    return Sequence(journal, Metrics(), incident).run(Plan("takeover", "t", "it hung", steps, "b"), context)


def events(journal: Journal) -> list[str]:
    return [f"{event['kind']} {event['step']}:{event['host']}" for event in journal.incidents()[0]["events"]]


TAKEOVER = (
    PlannedStep("release", "a"),
    PlannedStep("confirm", "b"),
    PlannedStep("start", "b"),
    PlannedStep("claim", "b"),
    PlannedStep("prove", "b"),
)


def test_a_takeover_runs_through(world: FakeWorld, journal: Journal) -> None:
    assert run(world, journal, *TAKEOVER).done
    assert (world.gates["a"].held, world.gates["b"].held) == (False, True)
    assert world.gates["b"].processes > 0
    assert journal.holder("www").host == "b"
    assert events(journal) == [
        f"{kind} {step.name}:{step.host}" for step in TAKEOVER for kind in ("started", "done")
    ]


def test_here_too_the_gate_claims_where_the_boot_guard_is_on(
    world: FakeWorld, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root alone may lift it, and an address that is not heard is no claim."""
    monkeypatch.setattr(boot_guard, "MUTE_DIRECTORY", tmp_path)
    (tmp_path / "www").touch()
    assert run(world, journal, *TAKEOVER).done
    assert "claim" in world.gates["b"].calls
    (tmp_path / "www").unlink()
    world.gates["b"].calls.clear()
    assert run(world, journal, PlannedStep("claim", "b")).done
    assert world.gates["b"].calls == []


def test_nothing_is_claimed_while_the_release_is_not_confirmed(world: FakeWorld, journal: Journal) -> None:
    world.gates["a"].refuse["release"] = "timeout"
    outcome = run(world, journal, *TAKEOVER)
    assert not outcome.done
    assert world.gates["a"].held
    assert not world.gates["b"].held
    assert world.gates["b"].calls == []


def test_a_release_that_was_never_sent_is_not_undone(world: FakeWorld, journal: Journal) -> None:
    """Its undo would start the service again that a person may be looking at, though nothing was taken."""
    old = PlanEvidence(asked_at=since_boot.seconds() - 60.0, look_again=lambda step: "keep_looking: loss")
    outcome = run(world, journal, *TAKEOVER, evidence=old)
    assert outcome.text == "release on a is no longer due: keep_looking: loss"
    assert (outcome.moved, outcome.undone) == (False, True)
    assert world.gates["a"].calls == []
    assert events(journal) == ["started release:a", "failed release:a"]


def test_a_release_that_this_host_could_not_send_is_not_undone(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*words: object, **more: object) -> ServiceStatus:
        raise GateError.busy("a: could not be asked: too many open files")

    monkeypatch.setattr(world.gates["a"], "run_verb", busy)
    assert not run(world, journal, *TAKEOVER).moved
    assert events(journal) == ["started release:a", "failed release:a"]


def test_nothing_is_claimed_when_the_witness_has_gone(world: FakeWorld, journal: Journal) -> None:
    world.witness = False
    outcome = run(world, journal, *TAKEOVER)
    assert outcome == Outcome(False, "no witness answers any more: it may be this host that is cut off", True)
    assert not world.gates["b"].held
    assert world.gates["a"].held, "a was released for nothing and has it back"
    assert world.gates["a"].calls == ["release", "start", "claim"]


@pytest.mark.parametrize(
    ("deaf", "done"), [(2, True), (3, False)], ids=["it hears the third time", "it stays deaf"]
)
def test_a_wire_that_nobody_could_be_asked_at_first_is_asked_again(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch, deaf: int, done: bool
) -> None:
    asked, hear = [0], world.confirm

    def confirm(service: str, silent: str | None) -> Confirmed:
        asked[0] += 1
        return Confirmed(True, None) if asked[0] <= deaf else hear(service, silent)

    monkeypatch.setattr(world, "confirm", confirm)
    outcome = run(world, journal, *TAKEOVER)
    assert outcome.done == done
    assert done or outcome.text == "it could not be checked which host has the address"


@pytest.mark.parametrize(
    ("busy", "seconds", "done"),
    [(3, 10.0, True), (10_000, 0.05, False)],
    ids=["for some checks", "until its time has passed"],
)
def test_b14_a_start_that_this_host_is_too_busy_to_check_is_waited_for(
    world: FakeWorld,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    busy: int,
    seconds: float,
    done: bool,
) -> None:
    asked, ask = [0], world.service_on
    not_checked = CheckOutcome("b", result.Outcome.NOT_LOOKED, "this host was too busy to check", "busy")

    def service_on(service: str, host: str) -> CheckOutcome:
        asked[0] += 1
        return not_checked if asked[0] <= busy else ask(service, host)

    monkeypatch.setattr(world, "service_on", service_on)
    be_impatient(monkeypatch, seconds)
    outcome = run(world, journal, *TAKEOVER)
    assert outcome.done == done
    assert (
        done or outcome.text == f"started on b, but did not answer within {seconds:g} s: {not_checked.text}"
    )


def test_b14_what_could_not_be_checked_does_not_stop_a_service_that_may_answer(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an answer that it does not get is a reason to stop on a what was started there for its own holder."""
    not_checked = CheckOutcome("b", result.Outcome.NOT_LOOKED, "this host was too busy to check", "busy")
    monkeypatch.setattr(world, "service_on", lambda service, host: not_checked)
    start = Start(StepContext(site(), "www", world.gates, world, 2, "a"), "a")
    start.undo()
    assert world.gates["a"].calls == []


def test_b14_a_late_echo_that_could_not_be_checked_for_ends_the_plan(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late_echo(host: str, since: float, seconds: float) -> bool:
        raise TimeoutError("this host was too busy to check")

    monkeypatch.setattr(world, "late_echo", late_echo)
    context = StepContext(site(), "www", world.gates, world, 2, "a")
    context.evidence.silent_since["a"] = 0.0
    with pytest.raises(
        StepError, match="it could not be checked whether a is still silent: this host was too"
    ):
        context.require_silent_holder("b")


def test_a_standby_that_does_not_start_gives_everything_back(world: FakeWorld, journal: Journal) -> None:
    world.gates["b"].start_works = False
    world.hung.clear()
    outcome = run(world, journal, *TAKEOVER)
    assert not outcome.done
    assert outcome.undone
    assert world.gates["b"].calls == ["start", "release"]
    assert world.gates["a"].held
    assert not world.gates["b"].held
    assert events(journal)[-3:] == ["failed start:b", "undone start:b", "undone release:a"]


def test_an_address_that_cannot_be_added_is_undone(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(interface: str, address: InterfaceAddress, *, right_before: object) -> None:
        raise netlink.AddressChangeError("there is no interface eth0 on this host")

    monkeypatch.setattr(netlink, "add", no)
    outcome = run(world, journal, *TAKEOVER)
    assert outcome.text == "there is no interface eth0 on this host"
    assert journal.holder("www").host == "a"
    assert world.gates["a"].held


def test_where_an_undo_fails_nothing_more_is_undone(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If b cannot be rid of the address, a must not have it back: two holders are worse than none."""

    def add_and_fail(interface: str, address: InterfaceAddress, *, right_before: object) -> None:
        world.gates["b"].held = True
        raise netlink.AddressChangeError("added, then something broke")

    def stuck(address: InterfaceAddress) -> None:
        raise netlink.AddressChangeError("it will not go")

    monkeypatch.setattr(netlink, "add", add_and_fail)
    monkeypatch.setattr(netlink, "remove", stuck)
    outcome = run(world, journal, *TAKEOVER)
    assert not outcome.undone
    assert not world.gates["a"].held
    assert events(journal)[-1] == "undo_failed claim:b"


def test_a_proof_that_fails_leaves_the_address_where_it_is(world: FakeWorld, journal: Journal) -> None:
    world.through_address = False
    outcome = run(world, journal, *TAKEOVER)
    assert not outcome.done
    assert world.gates["b"].held
    assert journal.holder("www").host == "b"


def test_an_old_epoch_is_refused_by_the_gate(world: FakeWorld, journal: Journal) -> None:
    world.gates["a"].epoch = 9
    outcome = run(world, journal, *TAKEOVER, epoch=2)
    assert outcome.text == "release on a: epoch 2 is older than 9"
    assert not world.gates["b"].held


def test_a_step_that_breaks_is_a_step_that_failed(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: release.Release) -> str:
        raise RuntimeError("surprise")

    monkeypatch.setattr(release.Release, "do", broken)
    outcome = run(world, journal, *TAKEOVER)
    assert outcome.text == "release on a broke: surprise"
    assert not world.gates["b"].held


def test_a_respawn_that_helps(world: FakeWorld, journal: Journal) -> None:
    world.hung.clear()
    world.gates["a"].processes = 0
    assert run(world, journal, PlannedStep("respawn", "a"), epoch=1).done


def test_a_respawn_that_does_not_help(world: FakeWorld, journal: Journal) -> None:
    outcome = run(world, journal, PlannedStep("respawn", "a"), epoch=1)
    assert outcome.text == "respawned on a, but did not answer within 0.05 s: no answer"


def test_a_release_that_is_so_already_is_not_repeated(world: FakeWorld, journal: Journal) -> None:
    world.gates["a"].held, world.gates["a"].processes = False, 0
    run(world, journal, PlannedStep("release", "a"))
    assert events(journal) == ["started release:a", "already release:a"]
    assert world.gates["a"].calls == []


def test_who_was_no_holder_gets_nothing_back(world: FakeWorld, journal: Journal) -> None:
    """b held the address as well as a, and its release did not end well: it must not be given the address again."""
    b = world.gates["b"]
    b.held, b.processes, b.refuse["release"] = True, 3, "failed"
    outcome = run(world, journal, PlannedStep("release", "b"), PlannedStep("claim", "a"))
    assert not outcome.done
    assert b.calls == ["release"]


def test_what_was_released_for_the_rightful_holder_is_not_given_back(
    world: FakeWorld, journal: Journal
) -> None:
    b = world.gates["b"]
    b.held, b.processes, world.gates["a"].refuse["claim"] = True, 3, "failed"
    assert not run(world, journal, PlannedStep("release", "b"), PlannedStep("claim", "a")).done
    assert world.gates["a"].held, "a claim that failed takes nothing from the holder"
    assert not b.held
    assert b.calls == ["release"]


def test_nothing_is_given_back_while_somebody_else_answers(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Confirmed(True, (frozenset({"c"}), frozenset()))
    monkeypatch.setattr(world, "confirm", lambda service, silent=None: found)
    assert run(world, journal, *TAKEOVER).text == "c still answers for the address"
    assert not world.gates["a"].held
    assert events(journal)[-1] == "undo_failed release:a"


@pytest.mark.parametrize(
    ("holds_good", "before"),
    [("SILENT_AGAIN_SECONDS", ()), ("LET_GO_AGAIN_SECONDS", TAKEOVER[:1])],
    ids=["its holder was silent", "its holder had released"],
)
def test_the_wire_is_asked_once_more_where_the_start_took_long(
    world: FakeWorld,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    holds_good: str,
    before: tuple[PlannedStep, ...],
) -> None:
    """a was away, and came back with its address while b's service started."""
    real = FakeGate.run_verb

    def slow(self: FakeGate, verb: Verb, *words: object, **deadline: float) -> ServiceStatus:
        if verb == "start" and self is world.gates["b"]:
            world.gates["a"].held = True
        return real(self, verb, *words, **deadline)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeGate, "run_verb", slow)
    for name in ("SILENT_AGAIN_SECONDS", "LET_GO_AGAIN_SECONDS", "SILENT_SECONDS", "LET_GO_SECONDS"):
        monkeypatch.setattr(plan_evidence, name, 60.0)
    monkeypatch.setattr(plan_evidence, holds_good, 0.0)
    world.gates["a"].held, world.gates["a"].processes = False, 0
    outcome = run(world, journal, *before, *TAKEOVER[1:])
    assert outcome.text == "a still answers for the address"
    assert not world.gates["b"].held
    assert world.gates["b"].processes == 0
    assert journal.holder("www").host == "a"


# How many rows a disk takes before it is full, and who has the service then. The seventh is that of the claim.
FULL = {1: "a", 2: "a", 3: "a", 4: "a", 5: "a", 6: "a", 7: "b", 8: "b", 9: "b"}


@pytest.mark.parametrize(("heard", "holds"), FULL.items())
def test_a4_a_disk_that_gets_full_leaves_the_service_on_the_host_that_the_journal_names(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch, heard: int, holds: str
) -> None:
    """No step begins that the journal does not know of; what the old holder let go of is given back to it."""
    real, left = journal.note, [heard]

    def note(*words: object, **data: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise JournalError("the disk is full")
        real(*words, **data)  # type: ignore[arg-type]

    monkeypatch.setattr(journal, "note", note)
    outcome = run(world, journal, *TAKEOVER)
    assert (world.gates["a"].held, world.gates["b"].held) == (holds == "a", holds == "b")
    assert (world.gates["a"].processes > 0, world.gates["b"].processes > 0) == (holds == "a", holds == "b")
    assert journal.holder("www").host in {holds, None}
    assert outcome.done or outcome.text.endswith("was not begun: the disk is full")


@pytest.mark.parametrize("writes", range(1, 12))
def test_a4_no_claim_without_its_rows_where_nothing_can_be_given_back(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """a is dead, and every write after some number of them fails: whatever b holds, the journal names b for it."""
    world.dead.add("a")
    real, left = journal._write, [writes]

    @contextmanager
    def write() -> Iterator[Connection]:
        left[0] -= 1
        if left[0] < 0:
            raise JournalError("the disk is full")
        with real() as db:
            yield db

    incident = journal.open_incident("www", "test")
    monkeypatch.setattr(journal, "_write", write)
    values = site()
    context = StepContext(values, "www", world.gates, world, 2, "a", silent_hosts=("a",))
    plan = Plan("takeover", "t", "it is silent", TAKEOVER[1:], "b")
    outcome = Sequence(journal, Metrics(), incident).run(plan, context)
    assert world.gates["b"].held == (journal.holder("www").host == "b" and outcome.done)
    assert world.gates["b"].held or world.gates["b"].processes == 0


A8 = {"while the standby starts": "start", "between the last question and the packet": "packet", "never": ""}


@pytest.mark.parametrize("comes", A8.values(), ids=A8)
def test_a8_an_echo_that_comes_late_counts_until_the_claim(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch, comes: str
) -> None:
    """The question after the check had judged the silence already, and must not be the last that hears of it."""
    world.dead.add("a")
    change, add = world.gates["b"].run_verb, netlink.add

    def started(verb: Verb, service: str, epoch: int, **given: Any) -> ServiceStatus:
        if verb == comes:
            world.late.add("a")
        return change(verb, service, epoch, **given)

    def added(interface: str, address: InterfaceAddress, right_before: Callable[[], None]) -> None:
        if comes == "packet":
            world.late.add("a")
        add(interface, address, right_before=right_before)

    monkeypatch.setattr(world.gates["b"], "run_verb", started)
    monkeypatch.setattr(netlink, "add", added)
    values, incident = site(), journal.open_incident("www", "test")
    context = StepContext(values, "www", world.gates, world, 2, "a", silent_hosts=("a",))
    context.evidence.silent_since["a"] = 0.0
    plan = Plan("takeover", "t", "it is silent", TAKEOVER[1:], "b")
    outcome = Sequence(journal, Metrics(), incident).run(plan, context)
    assert (outcome.done, world.gates["b"].held) == ((False, False) if comes else (True, True))
    assert (
        not comes or outcome.text == "a late echo arrived from a: delay does not prove that the host is down"
    )


def test_a8_what_has_released_or_was_seen_off_may_be_heard(world: FakeWorld, journal: Journal) -> None:
    world.late = {"a"}
    values = site()
    context = StepContext(values, "www", world.gates, world, 2, "a")
    context.evidence.silent_since["a"] = 0.0
    with pytest.raises(StepError, match="a late echo arrived from a"):
        context.require_silent_holder("b")
    context.require_silent_holder("a")  # which it is itself that claims
    context.evidence.let_go = True
    context.require_silent_holder("b")
    context.evidence.let_go = False
    context.evidence.seen_off("a")
    context.require_silent_holder("b")


def test_a9_a_plan_of_an_older_epoch_stops_where_it_is(world: FakeWorld, journal: Journal) -> None:
    """Another plan began meanwhile: the older one neither goes on nor takes back what may be the newer one's."""
    journal.set_epoch("www", 99)
    outcome = run(world, journal, *TAKEOVER)
    assert (outcome.done, outcome.undone) == (False, False)
    assert outcome.text == "epoch 2 is older than 99: another plan has begun since"
    assert world.gates["a"].calls == []
    assert world.gates["b"].calls == []


def test_a_plan_the_journal_cannot_take_does_not_begin(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(*words: object, **data: object) -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(journal, "note", note)
    with pytest.raises(JournalError, match="the disk is full"):
        run(world, journal, *TAKEOVER)
    assert world.gates["a"].held
    assert world.gates["a"].calls == []


def test_a_service_that_nobody_can_count_is_stopped_though_the_address_is_gone(
    world: FakeWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FakeGate._service
    monkeypatch.setattr(FakeGate, "_service", lambda self: replace(real(self), processes=None))
    world.gates["a"].held = False
    run(world, journal, PlannedStep("release", "a"))
    assert world.gates["a"].calls == ["release"]

"""Hooks and address commands with real programs: what their input is, how long they may take, what they stop."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from locum_actuator.decision.failover import decide
from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps.base import StepContext
from locum_actuator.steps.runner import Outcome, Sequence
from locum_actuator.system.site_commands import CommandError, holder_by_command
from locum_inventory.site.model import Service, Site
from tests.actuator.fakes import FakeGate, FakeWorld, host, site, situation
from tests.actuator.shortcuts import in_no_time, kernel_of

TAKEOVER = (
    PlannedStep("release", "a"),
    PlannedStep("confirm", "b"),
    PlannedStep("start", "b"),
    PlannedStep("claim", "b"),
    PlannedStep("prove", "b"),
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FakeWorld:
    """a holds the address and hangs; b stands by. The kernel of b is b's fake shell."""
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()}, hung={"a"})
    kernel_of(world.gates["b"], monkeypatch)
    in_no_time(monkeypatch)
    return world


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str, str], str]:
    """Write a script and return its path."""

    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


def with_service(**values: object) -> Site:
    dumped = site().model_dump(exclude_unset=True)
    dumped["services"]["www"] |= values
    return Site.model_validate(dumped)


def by_command(**commands: object) -> Site:
    dumped = site().model_dump(exclude_unset=True)
    service = dumped["services"]["www"]
    del service["addresses"], service["interface"]
    service["address_commands"] = commands
    return Site.model_validate(dumped)


def run(world: FakeWorld, journal: Journal, values: Site, metrics: Metrics | None = None) -> Outcome:
    context = StepContext(
        values, "www", world.gates, world, 2, "a", "b",
        incident=1, reason="it's $(hung)",
    )  # fmt: skip
    for gate in world.gates.values():
        gate.addresses = values.services["www"].addresses  # as enrol writes the host file
    incident = journal.open_incident("www", "test")
    plan = Plan("takeover", "t", "it hung", TAKEOVER, "b")
    return Sequence(journal, metrics or Metrics(), incident).run(plan, context)


def events(journal: Journal, kind: str) -> list[str]:
    return [event["text"] for event in journal.incidents()[0]["events"] if event["kind"] == kind]


def test_each_hook_is_told_what_is_done_and_nothing_else(
    world: FakeWorld, journal: Journal, tmp_path: Path, script: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SECRET", "of the actuator")
    tell = script("tell", f"env | grep -v ^PWD= | sort > {tmp_path}/$1")
    names = ("before_takeover", "before_release", "after_claim", "after_takeover")
    hooks = {name: {"command": f"{tell} {name}"} for name in names}
    assert run(world, journal, with_service(hooks=hooks)).done
    environment = dict(line.split("=", 1) for line in (tmp_path / "before_release").read_text().splitlines())
    assert environment == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LOCUM_SERVICE": "www",
        "LOCUM_INCIDENT": "1",
        "LOCUM_STEP": "release",
        "LOCUM_HOST": "a",
        "LOCUM_HOST_ADDRESS": "192.0.2.1",
        "LOCUM_EPOCH": "2",
        "LOCUM_REASON": "it's $(hung)",
        "LOCUM_OLD_HOLDER": "a",
        "LOCUM_NEW_HOLDER": "b",
    }
    assert "LOCUM_HOST=b\n" in (tmp_path / "after_claim").read_text()
    assert "LOCUM_STEP=takeover\n" in (tmp_path / "before_takeover").read_text()
    assert events(journal, "hook") == [f"{name} worked" for name in names]


def test_a_hook_that_fails_is_written_down_and_left_at_that(world: FakeWorld, journal: Journal) -> None:
    metrics = Metrics()
    hooks = {"before_claim": {"command": "sh -c 'echo the switch said no >&2; exit 3'"}}
    assert run(world, journal, with_service(hooks=hooks), metrics).done
    assert events(journal, "hook") == ["before_claim failed: sh ended with 3: the switch said no"]
    sample = metrics.registry.get_sample_value
    assert sample("locum_actuator_hook_failures_total", {"service": "www", "hook": "before_claim"}) == 1


ABORTS = {
    # hook: (what is undone, does a keep the address, verbs that reached b's gate)
    "before_takeover": ([], []),
    "before_release": ([], []),
    "before_start": (["a has the service and the address back"], []),
    "before_claim": (["stopped on b again", "a has the service and the address back"], ["start", "release"]),
}


@pytest.mark.parametrize(("name", "undone", "verbs"), [(k, *v) for k, v in ABORTS.items()], ids=ABORTS)
def test_a_hook_that_aborts_has_what_was_done_undone(
    world: FakeWorld, journal: Journal, name: str, undone: list[str], verbs: list[str]
) -> None:
    hooks = {name: {"command": "false", "on_failure": "abort"}}
    outcome = run(world, journal, with_service(hooks=hooks))
    assert outcome == Outcome(False, f"hook {name}: false ended with 1", True)
    assert events(journal, "undone") == undone
    assert (world.gates["a"].held, world.gates["b"].held) == (True, False)
    assert world.gates["b"].calls == verbs


HELD_UP: dict[str, tuple[str, str]] = {
    "it sleeps": ("sleep 30", "before_claim failed: sleep: did not end within 0.3 s and was killed"),
    "its child sleeps": (
        "sh -c 'sleep 30; true'", "before_claim failed: sh: did not end within 0.3 s and was killed"
    ),
    "it ignores SIGTERM": (
        "sh -c 'trap \"\" TERM; sleep 30; true'",
        "before_claim failed: sh: did not end within 0.3 s and was killed",
    ),
    "it leaves a child with its output": ("sh -c 'sleep 30 & echo left'", "before_claim worked: left"),
    "it is not there": (
        "/nowhere/hook", "before_claim failed: /nowhere/hook: cannot be started: No such file or directory"
    ),
    "it prints without end": ("sh -c 'yes | head -c 3000000'", "before_claim worked: " + "y " * 499 + "y "),
}  # fmt: skip


@pytest.mark.timed
@pytest.mark.parametrize(("command", "text"), HELD_UP.values(), ids=HELD_UP)
def test_a_hook_holds_nobody_up(world: FakeWorld, journal: Journal, command: str, text: str) -> None:
    timeout = "0.3s" if "sleep" in command else "5s"
    begun = time.monotonic()
    assert run(
        world, journal, with_service(hooks={"before_claim": {"command": command, "timeout": timeout}})
    ).done
    assert time.monotonic() - begun < 4
    assert events(journal, "hook") == [text]


# -- a command instead of an address ------------------------------------------------------------------------------


def record(tmp_path: Path, script: Callable[[str, str], str], named: str = "a") -> dict[str, object]:
    """Return commands over a record that is a file."""
    (tmp_path / "record").write_text(named)
    return {
        "claim": script("claim", f'printf %s "$LOCUM_HOST" > {tmp_path}/record'),
        "check": script("check", f"cat {tmp_path}/record"),
    }


def test_a_takeover_moves_the_record(
    world: FakeWorld, journal: Journal, tmp_path: Path, script: Callable[[str, str], str]
) -> None:
    values = by_command(**record(tmp_path, script))
    world.gates["a"].held = False
    assert run(world, journal, values).done
    assert (tmp_path / "record").read_text() == "b"
    assert journal.holder("www").host == "b"
    assert "the check reports that b holds it" in events(journal, "done")


def test_a_claim_that_did_not_take_is_undone(
    world: FakeWorld, journal: Journal, tmp_path: Path, script: Callable[[str, str], str]
) -> None:
    commands = record(tmp_path, script) | {"claim": "true"}
    world.gates["a"].held = False
    outcome = run(world, journal, by_command(**commands))
    assert outcome.text == "claimed for b, but the check reports that a holds it"
    assert outcome.undone
    assert journal.holder("www").host == "a"
    assert world.gates["a"].processes > 0, "a serves again"
    assert world.gates["b"].processes == 0


def test_a_release_command_takes_it_from_the_old_holder_first(
    world: FakeWorld, journal: Journal, tmp_path: Path, script: Callable[[str, str], str]
) -> None:
    commands = record(tmp_path, script)
    tells = f'echo "$LOCUM_STEP $LOCUM_HOST" >> {tmp_path}/said; : > {tmp_path}/record'
    commands["release"] = script("release", tells)
    world.gates["a"].held = False
    assert run(world, journal, by_command(**commands)).done
    assert (tmp_path / "said").read_text() == "release a\n"
    assert (tmp_path / "record").read_text() == "b"


CHECKS: dict[str, tuple[str, str | None]] = {
    "a name": ("echo b", "b"),
    "no host": ("true", None),
    "blanks": ("echo '  '", None),
}
NO_CHECKS = {
    "it fails": ("sh -c 'echo no route >&2; exit 9'", "sh ended with 9: no route"),
    "two names": ("echo a b", "echo printed 'a b', not one name"),
    "it hangs": ("sleep 9", "sleep: did not end within 0.2 s and was killed"),
}


@pytest.mark.parametrize(("command", "holder"), CHECKS.values(), ids=CHECKS)
def test_who_holds_it_by_command(command: str, holder: str | None) -> None:
    values = by_command(claim="true", check=command)
    assert holder_by_command("www", values.services["www"]) == holder


@pytest.mark.parametrize(("command", "why"), NO_CHECKS.values(), ids=NO_CHECKS)
def test_could_not_look_is_neither(command: str, why: str) -> None:
    values = by_command(claim="true", check=command, timeout="0.2s")
    with pytest.raises(CommandError) as caught:
        holder_by_command("www", values.services["www"])
    assert str(caught.value) == why


def seen(*views: object, holders: tuple[str, ...] = (), **more: object) -> Situation:
    made = situation(*views, holders=holders)  # type: ignore[arg-type]
    fields = {name: getattr(made, name) for name in made.__slots__}
    return Situation(**{**fields, "by_command": True, **more})


def service() -> Service:
    return by_command(claim="true", check="true").services["www"]


DEAD, STANDBY = host("a", echoes=(0, 20), gate="timeout"), host("b")
WELL, HUNG = host("a", serves=True, processes=3), host("a", processes=3)
MOVE = ("confirm on b", "start on b", "claim on b", "prove on b")
DECISIONS: dict[str, tuple[Situation, tuple[str, str], tuple[str, ...]]] = {
    "well": (seen(WELL, STANDBY, holders=("a",)), ("nothing", "well"), ()),
    "well, and the record could not be read": (
        seen(WELL, STANDBY, address_looked=False), ("nothing", "well"), ()
    ),
    "the record names no host": (
        seen(WELL, STANDBY), ("claim", "unheld"), ("claim on a", "prove on a")
    ),
    "the record names the other host": (seen(WELL, STANDBY, holders=("b",)), ("adopt", "adopted"), ()),
    "the record names a stranger": (
        seen(WELL, STANDBY, strangers=frozenset({"192.0.2.77"})), ("refuse", "stranger"), ()
    ),
    "hung": (seen(HUNG, STANDBY, holders=("a",)), ("takeover", "takeover"), ("release on a", *MOVE)),
    "dead, and the record goes on naming it": (
        seen(DEAD, STANDBY, holders=("a",)), ("takeover", "takeover"), MOVE
    ),
    "dead, and the record could not be read": (
        seen(DEAD, STANDBY, address_looked=False), ("refuse", "could_not_look"), ()
    ),
    "dead, and no witness": (
        seen(DEAD, STANDBY, holders=("a",), witnesses={"192.0.2.254": False}), ("refuse", "cut_off"), ()
    ),
}  # fmt: skip


@pytest.mark.parametrize(("situation", "outcome", "steps"), DECISIONS.values(), ids=DECISIONS)
def test_decided_by_the_record(
    situation: Situation, outcome: tuple[str, str], steps: tuple[str, ...]
) -> None:
    plan = decide(situation, Memory(holder="a", epoch=1), service())
    assert (plan.kind, plan.code) == outcome
    if plan.steps and outcome[1] == "unheld":
        steps = ("start on a", *steps)
    assert tuple(map(str, plan.steps)) == steps

"""Each invariant is missed where the guard behind it is taken out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from locum_actuator.decision import brakes, failover
from locum_actuator.domain.plan import Plan
from locum_actuator.engine import incident
from locum_actuator.engine.patrol import Patrol
from locum_actuator.journal.journal import Journal
from locum_actuator.observation.starts import Starts
from sim.faults import Fault
from sim.scenario import run
from sim.schedule import Schedule

pytestmark = pytest.mark.simulation


def pause_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(brakes, "_recorded", lambda plan, code, why: plan)


def epochs_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "set_epoch", lambda self, service, epoch: None)
    patch.setattr(Journal, "set_holder", lambda self, service, host, epoch: None)


def alerts_are_not_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "accept", lambda self, alerts: [0 for _ in alerts])


def the_patrol_finds_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Patrol, "round", lambda self, wanted=None: None)


def two_holders_are_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(failover, "_held_twice", lambda situation, memory: Plan("refuse", "held_twice", "test"))


def starting_is_hung(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Starts, "starting", lambda self, most_seconds: {})


def reach_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(failover, "unreached", lambda holder, situation, memory, service: None)


def newer_epochs_are_not_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(failover, "holder_by_epoch", lambda situation, memory: memory.holder)


def refusals_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(incident, "WAITING_SECONDS", 60.0)


CHAIN_GONE = Fault("prometheus_dead", "a", 5.0, 60.0)
RETURNS = Fault("crash", "a", 10.0, 10.0, amount=0.1)
STARTS_SLOWLY = (
    Fault("slow_start", "a", 5.0, 60.0, amount=0.95),
    Fault("kill", "a", 10.0, 1.0),
    Fault("kill_actuator", "a", 11.5, 1.0),
)
RESTORED = (
    Fault("restored_journal", "a", 5.0, 21.0),
    Fault("crash", "a", 10.0, 16.2, amount=0.1),
)
REFUSED = (
    Fault("witness_dead", "a", 9.0, 5.0),
    Fault("hang", "a", 10.0, 60.0),
    Fault("drift", "a", 60.0, 1.0),
)

ROWS = (
    (pause_is_ignored, "had been paused", (Fault("pause", "a", 5.0, 60.0), Fault("kill", "a", 15.0, 1.0))),
    (epochs_are_not_kept, "an incident is open", (Fault("hang", "a", 10.0, 60.0),)),
    (alerts_are_not_written, "answered with 202 and lost", (Fault("kill", "a", 10.0, 1.0),)),
    (the_patrol_finds_nothing, "without an open incident", (CHAIN_GONE, Fault("kill", "a", 10.0, 1.0))),
    (starting_is_hung, "whose service had been starting", STARTS_SLOWLY),
    (reach_is_ignored, "reached", (Fault("drop_service_address", "a", 10.0, 40.0),)),
    (newer_epochs_are_not_believed, "knows a newer epoch", RESTORED),
    (refusals_last, "no step had failed", REFUSED),
    (two_holders_are_left, "have had the address", (RETURNS,)),
)  # fmt: skip


@pytest.mark.parametrize(("take_out", "broken", "faults"), ROWS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_guard_that_is_taken_out_is_missed(
    take_out: Callable[[pytest.MonkeyPatch], None],
    broken: str,
    faults: tuple[Fault, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schedule = Schedule(1, "takeover", faults)
    assert run(schedule, brief=True).broken is None
    take_out(monkeypatch)
    assert broken in (run(schedule, brief=True).broken or "nothing")

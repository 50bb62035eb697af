"""The simulator: the shipped actuator keeps its promises under faults, and a guard that is taken out is missed."""

from __future__ import annotations

import logging

import pytest

from locum_actuator.steps.confirm import Confirm
from locum_actuator.system import runtime
from sim.__main__ import schedule, shortest
from sim.faults import Fault
from sim.scenario import Result, run

SEEDS = range(1, 9)
FAULTS = 10


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_breaks_no_promise(seed: int) -> None:
    result = run(seed, schedule(seed, FAULTS))
    assert result.broken is None


def test_a_seed_goes_the_same_way_each_time() -> None:
    first, second = (run(3, schedule(3, FAULTS)) for _ in range(2))
    assert first.events == second.events
    assert len(first.events) > 20


@pytest.mark.parametrize(
    ("kind", "outcome"), [("kill", "respawn"), ("hang", "takeover"), ("crash", "takeover")]
)
def test_a_fault_alone_is_repaired(kind: str, outcome: str) -> None:
    result = run(1, [Fault(kind, "a", 10.0, 60.0)])
    assert result.broken is None
    assert outcome in result.outcomes


THAWS_DURING_THE_START = [Fault("slow_start", "b", 1.0, 60.0), Fault("freeze", "a", 10.0, 2.5)]


def test_a_holder_that_thaws_during_a_takeover_keeps_the_address() -> None:
    assert run(1, THAWS_DURING_THE_START).broken is None


def test_without_the_check_before_a_claim_it_is_held_by_two(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(self: Confirm) -> str:
        self.context.evidence.found_free(runtime.since_boot())
        return "not checked"

    monkeypatch.setattr(Confirm, "do", unchecked)
    broken = run(1, THAWS_DURING_THE_START).broken
    assert broken is not None
    assert broken.startswith("b got the address while a had answered for it")


def test_a_scenario_leaves_logging_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    run(1, [])
    logging.getLogger("locum_actuator").warning("after it")
    assert caplog.messages == ["after it"]


def test_what_does_not_matter_is_left_out() -> None:
    faults = [Fault("kill", "a", at, 1.0) for at in (1.0, 2.0, 3.0)]

    def broken_by_the_second(seed: int, some: list[Fault]) -> Result:
        return Result(seed, tuple(some), "broken" if faults[1] in some else None, (), ())

    assert shortest(1, faults, broken_by_the_second) == [faults[1]]

"""The simulator: the shipped actuator keeps its promises under faults, and a guard that is taken out is missed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from locum_actuator.steps.confirm import Confirm
from locum_actuator.system import runtime
from sim.faults import Fault
from sim.scenario import run
from sim.schedule import Schedule, drawn
from sim.shrink import shrink

pytestmark = pytest.mark.simulation

SEEDS = range(1, 251)
FAULTS_EACH = 20  # 5,000 in all
FAULTS = 10


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_breaks_no_promise(seed: int) -> None:
    assert run(drawn(seed, FAULTS_EACH), brief=True).broken is None


def test_a_seed_goes_the_same_way_each_time() -> None:
    first, second = (run(drawn(3, FAULTS)) for _ in range(2))
    assert first.events == second.events
    assert len(first.events) > 20


BACK_DURING_THE_START = Schedule(
    3, "takeover", (Fault("slow_start", "b", 1.0, 60.0, amount=0.5), Fault("cut", "a", 10.0, 2.5))
)


def test_a_holder_that_is_back_during_a_takeover_keeps_the_address() -> None:
    assert run(BACK_DURING_THE_START).broken is None


def test_without_the_check_before_a_claim_it_is_held_by_two(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(self: Confirm) -> str:
        self.context.evidence.found_free(runtime.since_boot())
        return "not checked"

    monkeypatch.setattr(Confirm, "do", unchecked)
    broken = run(BACK_DURING_THE_START).broken
    assert broken is not None
    assert broken.startswith("b got the address while a had it")


def test_a_scenario_leaves_logging_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    run(Schedule(1, "takeover", ()))
    logging.getLogger("locum_actuator").warning("after it")
    assert caplog.messages == ["after it"]


def test_what_does_not_matter_is_left_out() -> None:
    faults = tuple(Fault("kill", "a", at, 0.4) for at in (1.0, 2.0, 3.0, 4.0))
    shorter = shrink(Schedule(1, "takeover", faults), lambda some: {faults[1], faults[3]} <= {*some.faults})
    assert shorter.faults == (faults[1], faults[3])


def test_a_schedule_is_read_as_it_was_written(tmp_path: Path) -> None:
    schedule = drawn(7, FAULTS)
    schedule.write(tmp_path / "schedule.json")
    assert Schedule.read(tmp_path / "schedule.json") == schedule

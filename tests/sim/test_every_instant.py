"""The actuator is killed or stopped between any two operations of a takeover, and keeps its promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from locum_actuator.steps.plan_evidence import PlanEvidence
from sim import disk
from sim.faults import Fault
from sim.scenario import run
from sim.schedule import Schedule

pytestmark = pytest.mark.simulation

MOST_OPERATIONS = 40  # of a takeover; later ones belong to the patrol


def at_each_operation(profile: str, kind: str, seconds: float) -> Iterator[Schedule]:
    """Yield a takeover from a hung holder for each of its operations: the fault comes right there."""
    for operations in range(1, MOST_OPERATIONS):
        meets = Fault(kind, "a", 10.0, seconds, operations, in_plan=True)
        yield Schedule(1, profile, (Fault("hang", "a", 10.0, 25.0), meets))


@pytest.mark.parametrize(
    ("profile", "kind", "seconds"),
    [("refuse", "kill_actuator", 1.0), ("three", "kill_actuator", 1.0), ("refuse", "stop_actuator", 6.0)],
)
def test_a_takeover_that_is_met_at_any_operation(
    profile: str, kind: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "TORN", 1.0)  # each kill leaves a part of a transaction
    broken = [run(schedule, brief=True).broken for schedule in at_each_operation(profile, kind, seconds)]
    assert broken == [None] * len(broken)


def test_without_the_age_of_the_last_answer_a_stop_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlanEvidence, "require_free", lambda self: None)
    broken = [
        run(schedule, brief=True).broken for schedule in at_each_operation("refuse", "stop_actuator", 6.0)
    ]
    assert any(one is not None and "the wire had been asked" in one for one in broken)

"""A permit counts from the gate's last answer where that is new, and ends earlier by as much as that is old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from locum_actuator.steps import over_gate
from locum_actuator.steps.base import StepContext
from locum_actuator.steps.plan_evidence import EvidenceTooOldError, PlanEvidence
from locum_inventory import since_boot
from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import GateStatus, ServiceStatus, Verb
from tests.actuator.fakes import FakeGate, FakeWorld, site


class CountingGate(FakeGate):
    """Counts how often it was asked, and keeps the permits that came."""

    def __init__(self) -> None:
        super().__init__(processes=3)
        self.asked = 0
        self.permits: list[Permit] = []

    def status(self, *, deadline_seconds: float) -> GateStatus:
        self.asked += 1
        return super().status(deadline_seconds=deadline_seconds)

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        assert permit is not None
        self.permits.append(permit)
        return super().run_verb(verb, service, epoch, deadline_seconds=deadline_seconds, permit=permit)

    def grow_old(self, seconds: float) -> None:
        """Make the last answer so old, and let the host's clock have stood still since."""
        assert self.last is not None
        assert self.last.clock is not None
        clock = replace(self.last.clock, answered_at=self.last.clock.answered_at - seconds)
        self.last = replace(self.last, clock=clock)


def context_of(gate: FakeGate, evidence: PlanEvidence) -> StepContext:
    world, values = FakeWorld({"a": FakeGate(), "b": gate}), site()
    return StepContext(values, "www", world.gates, world, 2, "a", evidence=evidence)


Give = Callable[[StepContext], ServiceStatus]
GIVERS = {
    "start": lambda context: over_gate.change_in_time(context, "b", "start", 1.0),
    "respawn": lambda context: over_gate.respawn_in_time(context, "b", 1.0),
}


@pytest.mark.parametrize("give", GIVERS.values(), ids=GIVERS)
def test_a_new_answer_is_counted_from_and_what_it_is_old_is_taken_off(give: Give) -> None:
    gate, evidence = CountingGate(), PlanEvidence()
    context = context_of(gate, evidence)
    gate.status(deadline_seconds=1.0)
    give(context)
    gate.grow_old(0.5)
    give(context)
    assert gate.asked == 1
    # By a clock that stood still for as long as its answer is old, the permit ends when the evidence does.
    now, old = (permit.good_until_hundredths for permit in gate.permits)
    assert now - old == pytest.approx(0, abs=2)


@pytest.mark.parametrize("give", GIVERS.values(), ids=GIVERS)
def test_an_old_answer_and_none_are_asked_for(give: Give) -> None:
    gate = CountingGate()
    context = context_of(gate, PlanEvidence())
    give(context)
    assert gate.asked == 1
    gate.grow_old(over_gate.CLOCK_SECONDS + 0.1)
    give(context)
    assert gate.asked == 2


def test_what_the_gate_finds_too_old_is_asked_for_once() -> None:
    """A host that has booted since the last answer has another boot id."""
    gate = CountingGate()
    context = context_of(gate, PlanEvidence())
    gate.status(deadline_seconds=1.0)
    gate.boot_id = gate.boot_id[::-1]
    over_gate.change_in_time(context, "b", "start", 1.0)
    assert gate.asked == 2
    late = PlanEvidence(asked_at=since_boot.seconds() - 60.0)
    with pytest.raises(EvidenceTooOldError):
        over_gate.change_in_time(context_of(gate, late), "b", "start", 1.0)

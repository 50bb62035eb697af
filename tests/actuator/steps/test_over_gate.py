"""A permit counts from the gate's last answer where that is new, and ends earlier by as much as that is old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from locum_actuator.steps import over_gate
from locum_actuator.steps.base import Hands
from locum_actuator.steps.plan_evidence import EvidenceTooOldError, PlanEvidence
from locum_inventory import since_boot
from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import GateStatus, ServiceStatus, Verb
from tests.actuator.fakes import FakeShell, FakeWorld, site


class CountingShell(FakeShell):
    """Counts how often it was asked, and keeps the permits that came."""

    def __init__(self) -> None:
        super().__init__(processes=3)
        self.asked = 0
        self.permits: list[Permit] = []

    def status(self, *, deadline_seconds: float) -> GateStatus:
        self.asked += 1
        return super().status(deadline_seconds=deadline_seconds)

    def change(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        assert permit is not None
        self.permits.append(permit)
        return super().change(verb, service, epoch, deadline_seconds=deadline_seconds, permit=permit)

    def grow_old(self, seconds: float) -> None:
        """Make the last answer so old, and let the host's clock have stood still since."""
        assert self.last is not None
        assert self.last.clock is not None
        clock = replace(self.last.clock, answered_at=self.last.clock.answered_at - seconds)
        self.last = replace(self.last, clock=clock)


def hands_of(shell: FakeShell, evidence: PlanEvidence) -> Hands:
    world, values = FakeWorld({"a": FakeShell(), "b": shell}), site()
    return Hands(values, "www", values.services["www"], "b", world.shells, world, 2, "a", evidence=evidence)


Give = Callable[[Hands], ServiceStatus]
GIVERS = {
    "start": lambda hands: over_gate.change_in_time(hands, "b", "start", 1.0),
    "respawn": lambda hands: over_gate.respawn_in_time(hands, "b", 1.0),
}


@pytest.mark.parametrize("give", GIVERS.values(), ids=GIVERS)
def test_a_new_answer_is_counted_from_and_what_it_is_old_is_taken_off(give: Give) -> None:
    shell, evidence = CountingShell(), PlanEvidence()
    hands = hands_of(shell, evidence)
    shell.status(deadline_seconds=1.0)
    give(hands)
    shell.grow_old(0.5)
    give(hands)
    assert shell.asked == 1
    # By a clock that stood still for as long as its answer is old, the permit ends when the evidence does.
    now, old = (permit.good_until_hundredths for permit in shell.permits)
    assert now - old == pytest.approx(0, abs=2)


@pytest.mark.parametrize("give", GIVERS.values(), ids=GIVERS)
def test_an_old_answer_and_none_are_asked_for(give: Give) -> None:
    shell = CountingShell()
    hands = hands_of(shell, PlanEvidence())
    give(hands)
    assert shell.asked == 1
    shell.grow_old(over_gate.CLOCK_SECONDS + 0.1)
    give(hands)
    assert shell.asked == 2


def test_what_the_gate_finds_too_old_is_asked_for_once() -> None:
    """A host that has booted since the last answer has another boot id."""
    shell = CountingShell()
    hands = hands_of(shell, PlanEvidence())
    shell.status(deadline_seconds=1.0)
    shell.boot_id = shell.boot_id[::-1]
    over_gate.change_in_time(hands, "b", "start", 1.0)
    assert shell.asked == 2
    late = PlanEvidence(asked_at=since_boot.seconds() - 60.0)
    with pytest.raises(EvidenceTooOldError):
        over_gate.change_in_time(hands_of(shell, late), "b", "start", 1.0)

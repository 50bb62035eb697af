"""Random sequences of verbs, with changes of the host between them, on gate.sh and on its model."""

from __future__ import annotations

import random

import pytest

from tests.sim.gate_calls import PERMITS, Call, Step, course
from tests.sim.model_gate_side import on_model
from tests.sim.real_gate_side import RealSide
from tests.sim.test_gate_model import PATIENT, VERBS
from tests.support.marks import needs_root

pytestmark = [needs_root, pytest.mark.simulation]

SEEDS = range(1, 11)
VERBS_EACH = 10
CHANGES = ("killed", "runs", "hangs", "held", "start fails", "start works", "no carrier")


def sequence(seed: int) -> tuple[Step, ...]:
    """Draw ten calls. Most epochs grow and most permits are good, so that most calls change something."""
    chance, epoch, steps = random.Random(seed), 5, list[Step]()
    for _ in range(VERBS_EACH):
        if chance.random() < 0.4:
            steps.append(chance.choice(CHANGES))
        epoch = max(0, epoch + chance.choice((-1, 0, 0, 1, 1, 2)))
        permit = "good" if chance.random() < 0.75 else chance.choice(PERMITS)
        steps.append(Call(chance.choice(VERBS), epoch, permit))
    return tuple(steps)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sequence(real: RealSide, seed: int) -> None:
    site, steps = real.enrol(**PATIENT), sequence(seed)
    assert on_model(site, steps) == course(real, steps)

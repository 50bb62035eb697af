"""Schedules that once broke a promise, or found a fault of the model: they break none today (tests/sim/found/)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario import run
from sim.schedule import Schedule

pytestmark = pytest.mark.simulation

FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_a_schedule_that_was_found_breaks_no_promise(path: Path) -> None:
    assert run(Schedule.read(path), brief=True).broken is None


def test_there_are_schedules() -> None:
    assert FOUND

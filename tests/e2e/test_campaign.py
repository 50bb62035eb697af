"""A short campaign: what `make campaign` does at length, so that it can always be run."""

from __future__ import annotations

import pytest

from bench.campaign.schedule import Scenario, scenarios
from bench.campaign.side_by_side import run_one

pytestmark = pytest.mark.e2e

SEED = 1147  # two scenarios: a paused host, wires, the service, its sshd, a part of the chain
FAULTS = 6


@pytest.mark.parametrize("one", list(scenarios(SEED, FAULTS)), ids=lambda one: one.name)
def test_nothing_is_that_must_never_be(one: Scenario) -> None:
    result = run_one("refuse", None, one)
    assert not any(result.violations().values()), "\n".join([str(result.violations()), *result.story])
    assert result.unheard_packets == 0

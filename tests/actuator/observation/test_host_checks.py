"""The view of a host, put together from its checks."""

from __future__ import annotations

import pytest

from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.observation.host_checks import counted_by_gate
from locum_exporter.result import Outcome
from locum_inventory.gate.protocol import ServiceStatus
from locum_inventory.site.model import Checks, Service
from tests.actuator.fakes import ADDRESS, site


def process_only() -> Service:
    values = site().services["www"]
    return values.model_copy(update={"checks": Checks.model_validate({"process": {"name": "apache2"}})})


@pytest.mark.parametrize(
    ("here", "counted", "outcome"),
    [
        (Outcome.NOT_LOOKED, 3, Outcome.WELL),
        (Outcome.NOT_LOOKED, 0, Outcome.FAILED),
        (Outcome.NOT_LOOKED, None, Outcome.NOT_LOOKED),
        (Outcome.WELL, 0, Outcome.WELL),
    ],
    ids=["the gate counts some", "the gate counts none", "no count at all", "the watch answered"],
)
def test_a_process_is_counted_by_the_gate_where_the_watch_cannot(
    here: Outcome, counted: int | None, outcome: Outcome
) -> None:
    status = ServiceStatus(1, {ADDRESS: True}, counted)
    assert counted_by_gate(CheckOutcome("b", here, "words"), process_only(), status).outcome is outcome

"""Labs in which locum runs. A lab whose fault leaves a as the holder serves several tests, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab.lab import Lab
from lab.locum import Locum

RESOLVED_SECONDS = 3.0  # an alert that has not resolved would not be sent again


@pytest.fixture(scope="module")
def running() -> Iterator[Locum]:
    """locum on b, a holding the service; for faults after which a holds it again."""
    with Lab() as lab, Locum(lab) as locum:
        yield locum


@pytest.fixture
def calm(running: Locum) -> Locum:
    """The running lab once a serves and no incident is open."""
    time.sleep(RESOLVED_SECONDS)
    running.lab.client.wait_good()
    assert running.lab.holders() == ["a"]
    assert all(row["outcome"] for row in running.incidents())
    return running


@pytest.fixture
def fresh() -> Iterator[Locum]:
    """locum on b in a lab of its own; for faults after which b holds the service."""
    with Lab() as lab, Locum(lab) as locum:
        yield locum

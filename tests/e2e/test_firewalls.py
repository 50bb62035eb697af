"""Firewalls of hosts that are well: pings that are limited, and a service address that is closed to others."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab.lab import Lab
from tests.e2e.often_moved import OftenMoved

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def moved() -> Iterator[OftenMoved]:
    with Lab() as lab, OftenMoved(lab) as locum:
        yield locum


@pytest.fixture
def on_a(moved: OftenMoved) -> Iterator[OftenMoved]:
    """a holds the service and nothing is wrong; afterwards its firewall is open again."""
    moved.lab.drop_firewall("a")
    moved.bring_back()
    yield moved
    moved.lab.drop_firewall("a")
    moved.lab.wake_service("a")


def test_b6_a_hung_service_is_taken_over_from_a_host_that_limits_pings(on_a: OftenMoved) -> None:
    lab = on_a.lab
    lab.limit_pings("a")
    at = lab.hang_service("a")
    incident = on_a.wait_incident("takeover", since=at)
    assert "echoes, but its gate answered each of many calls promptly; " in incident["reason"]
    lab.client.wait_good(since=at)
    assert lab.holders() == ["b"]
    assert lab.watcher.held_by_two_seconds(at) == 0


def test_b6_a_person_orders_a_switchover_from_a_host_that_limits_pings(on_a: OftenMoved) -> None:
    lab = on_a.lab
    at = lab.limit_pings("a")
    on_a.command("switchover", "www", "b", "--yes")
    on_a.wait_incident("switchover", since=at)
    assert lab.holders() == ["b"]
    assert time.time() - at < 60

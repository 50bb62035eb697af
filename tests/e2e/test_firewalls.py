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
    moved.bring_back()
    yield moved
    if moved.lab.hosts["a"].up:
        moved.lab.drop_firewall("a")
    moved.lab.wake_service("a")


def test_b6_a_hung_service_is_taken_over_from_a_host_that_limits_pings(on_a: OftenMoved) -> None:
    lab = on_a.lab
    lab.limit_pings("a")
    at = lab.hang_service("a")
    # Until ten calls in a row took less than 0.15 s each, which a busy machine may have to wait for.
    incident = on_a.wait_incident("takeover", since=at, seconds=240)
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


def test_b4_a_service_that_others_do_not_reach_is_taken_over(on_a: OftenMoved) -> None:
    """a's firewall drops what comes for the service address: a answers on its own, and clients get nothing."""
    lab = on_a.lab
    at = lab.close_service_address("a")
    incident = on_a.wait_incident("takeover", since=at, seconds=40)
    assert incident["reason"].startswith(
        "a serves on its own address and is not reached through the service address (b: "
    )
    lab.client.wait_good(since=at)
    assert lab.holders() == ["b"]
    assert lab.watcher.held_by_two_seconds(at) == 0


def test_b5_a_takeover_whose_service_does_not_listen_there_stays_open(on_a: OftenMoved) -> None:
    """b's Apache listens on b's own address alone: the address has moved, and no client is served."""
    lab = on_a.lab
    ports = lab.hosts["b"].root / "etc/apache2/ports.conf"
    text = ports.read_text(encoding="utf-8")
    try:
        ports.write_text(f"Listen {lab.hosts['b'].address}:80\n", encoding="utf-8")
        at = lab.crash("a")
        said = on_a.wait_event(
            at, "decided", "refuse: b serves on its own address and is not reached through"
        )
        assert "refused" in said
        failed = on_a.wait_event(at, "failed", "the service is not reached through its address")
        assert "b: " in failed
        assert next(row["outcome"] for row in on_a.incidents() if row["opened_at"] >= at) is None
        assert "no answer through the service address" in on_a.command("status", "www").stdout
    finally:
        ports.write_text(text, encoding="utf-8")
        lab.run("b", ["apachectl", "restart"])
    on_a.wait_incident("takeover", since=at)
    lab.client.wait_good(since=at)

"""IPv6 as IPv4: the same faults upon a service with an IPv6 address alone, and upon one with both.

In the lab of IPv6 no host has an IPv4 address: pings, SSH, checks, votes and mail go over IPv6. Faults follow one
another, so that the claims go over netlink (b) and over the gate (a) both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.lab import Lab
from tests.e2e.often_moved import OftenMoved
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

SIX = "2001:db8::100"
WAIT_SECONDS = 40.0  # a busy machine is slow, and what is asked here is what happens, not how fast
STRANGER = "02:00:5e:10:00:fe"  # the gateway's card


@pytest.fixture(scope="module")
def ipv6() -> Iterator[OftenMoved]:
    """Hosts without IPv4; c votes too."""
    with Lab(hosts=("a", "b", "c"), speaks="ipv6") as lab, OftenMoved(lab, watchers=("c",)) as locum:
        yield locum


@pytest.fixture(scope="module")
def both() -> Iterator[OftenMoved]:
    """Hosts with both, and a service that has an address of each."""
    with Lab(speaks="both") as lab, OftenMoved(lab) as locum:
        yield locum


def calm(locum: OftenMoved, holder: str) -> None:
    """Wait until a host serves at every address, and no incident is open."""
    locum.wait_calm()
    for client in locum.lab.clients:
        client.wait_good()
    assert locum.lab.holders() == [holder]


def over(locum: OftenMoved, at: float, outcome: str, holder: str) -> dict[str, Any]:
    """Wait until a fault is over; look that the one host serves at every address, and that two never held one."""
    lab = locum.lab
    incident = locum.wait_incident(outcome, since=at, seconds=WAIT_SECONDS)
    for client in lab.clients:
        client.wait_failed(since=at, timeout=5)
        client.wait_good(since=at, timeout=WAIT_SECONDS)
        assert client.answered_by(at) == holder
        print(f"{client.address}: {client.seconds_without_service(at):.2f} s without service")
    time.sleep(0.5)
    assert lab.holders() == [holder]
    for watcher in lab.watchers:
        assert watcher.held_by_two_seconds(at) == 0
    return incident


def announced(locum: OftenMoved, at: float, holder: str) -> None:
    """Check that the new holder has announced it to all nodes, several times, and that the client has heard it."""
    for watcher in locum.lab.watchers:
        said = [one.host for one in watcher.announcements(at)]
        assert said.count(holder) >= 3, (watcher.address, said)
        neighbour = locum.lab.run("client", ["ip", "neigh", "show", str(watcher.address)]).stdout
        assert locum.lab.hosts[holder].mac in neighbour


def test_the_chain_reaches_every_host_over_ipv6(ipv6: OftenMoved) -> None:
    said = ipv6.command("check", "--live").stdout
    assert "fault" not in said, said
    (values,) = ipv6.samples('locum_check_success{check="http",host="a",vantage_point="c"}', time.time(), 5)
    assert {value for _, value in values} == {1.0}


def test_a_stripped_address_is_given_back_and_announced_over_the_gate(ipv6: OftenMoved) -> None:
    calm(ipv6, "a")
    at = ipv6.lab.drop_address("a")
    incident = over(ipv6, at, "claim", "a")
    assert incident["reason"] == "no host holds the address and a serves"
    announced(ipv6, at, "a")


def test_an_address_that_failed_its_detection_is_told_and_claimed_anew(ipv6: OftenMoved) -> None:
    """While another one answers for it, it stays as it is; and then the kernel would leave it so for ever."""
    calm(ipv6, "a")
    lab, six = ipv6.lab, f"{SIX}/64"
    lab.run("gw", ["ip", "address", "add", six, "dev", "eth0", "nodad"])
    try:
        at = lab.drop_address("a")
        lab.run("a", ["ip", "address", "add", six, "dev", "eth0"])
        shown = ["ip", "address", "show", "dev", "eth0"]
        wait_for(lambda: "dadfailed" in lab.run("a", shown).stdout, "the kernel notices", WAIT_SECONDS)
        refused = f"refuse: unknown MAC {STRANGER} answers for the service address"
        ipv6.wait_event(at, "decided", refused)
        time.sleep(1)
        assert lab.holders() == [], "no host claims what another one has"
        assert "a" not in {one.host for one in lab.watcher.announcements(at)}
    finally:
        lab.run("gw", ["ip", "address", "delete", six, "dev", "eth0"])
    incident = ipv6.wait_incident("claim", since=at, seconds=WAIT_SECONDS)
    assert incident["reason"] == "no host holds the address (there, unused: dadfailed) and a serves"
    assert next(event["step"] for event in incident["events"] if event["kind"] == "done") == "confirm"
    lab.client.wait_good(timeout=WAIT_SECONDS)
    assert lab.holders() == ["a"]


@pytest.mark.parametrize("speaks", ["ipv6", "both"])
def test_killed_hung_and_crashed(speaks: str, request: pytest.FixtureRequest) -> None:
    locum: OftenMoved = request.getfixturevalue(speaks)
    lab = locum.lab
    calm(locum, "a")
    at = lab.kill_service("a")
    incident = over(locum, at, "respawn", "a")
    assert incident["reason"] == "apache2 is not running on a"

    calm(locum, "a")
    at = lab.hang_service("a")
    incident = over(locum, at, "takeover", "b")
    assert incident["reason"].startswith("the service on a does not answer though the host does")
    announced(locum, at, "b")

    calm(locum, "b")
    at = lab.hang_service("b")
    over(locum, at, "takeover", "a")  # the claim goes over a's gate
    announced(locum, at, "a")

    calm(locum, "a")
    at = lab.crash("a")
    incident = over(locum, at, "takeover", "b")
    assert incident["reason"].startswith("a does not answer at all (0 of 20 echoes")
    announced(locum, at, "b")


def test_one_of_both_is_given_back_on_this_host_too(both: OftenMoved) -> None:
    """b holds both since a crashed; the address of IPv4 stays where it is, and answers all the time."""
    calm(both, "b")
    lab = both.lab
    four, six = lab.clients
    at = lab.drop_address("b", only=lab.service_address6)
    incident = both.wait_incident("claim", since=at)
    assert incident["reason"] == f"b serves and does not hold {SIX} (not proven from outside)"
    six.wait_good(since=at, timeout=5)
    assert six.answered_by(at) == "b"
    assert four.failed_requests(at) == 0


def test_a_host_that_returns_with_the_address_unused_is_released(ipv6: OftenMoved) -> None:
    """a boots with the address in its configuration: its kernel finds b, and would wait for its chance."""
    calm(ipv6, "b")
    lab = ipv6.lab
    lab.reboot("a")
    at = time.time()
    lab.run("a", ["ip", "address", "add", f"{SIX}/64", "dev", "eth0"])
    shown = ["ip", "address", "show", "dev", "eth0"]
    wait_for(lambda: SIX not in lab.run("a", shown).stdout, "a is asked to release it", WAIT_SECONDS)
    assert lab.holders() == ["b"]
    assert lab.watcher.held_by_two_seconds(at) == 0
    assert lab.client.failed_requests(at) == 0

"""The lab speaks IPv6 too: observers that ask for an IPv6 address, hosts without any IPv4."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab import Lab

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(holder="a", speaks="ipv6") as made:
        made.client.wait_good()
        yield made


def test_nobody_has_ipv4(lab: Lab) -> None:
    for name in lab.everybody:
        said = lab.run(name, ["ip", "-4", "-o", "address", "show", "dev", "eth0"]).stdout
        assert said == "", name
    assert [str(host.address) for host in lab.hosts.values()] == ["2001:db8::1", "2001:db8::2"]
    assert lab.run("b", ["ping", "-c1", "-W1", str(lab.hosts["a"].address)]).returncode == 0


@pytest.mark.parametrize("arp", [True, False], ids=["all cut", "ARP and its like pass"])
def test_a_partition_cuts_ipv6_as_ipv4(lab: Lab, arp: bool) -> None:
    lab.run("b", ["ip", "neigh", "flush", "dev", "eth0"])
    lab.partition("b", "a", arp=arp)
    try:
        assert lab.run("b", ["ping", "-c1", "-W1", "2001:db8::1"], check=False).returncode != 0
        assert lab.run("b", ["ping", "-c1", "-W1", "2001:db8::254"]).returncode == 0
        known = lab.hosts["a"].mac in lab.run("b", ["ip", "neigh", "show", "2001:db8::1"]).stdout
        assert known is not arp
    finally:
        lab.heal("a")
    assert lab.run("b", ["ping", "-c1", "-W2", "2001:db8::1"]).returncode == 0


def test_a_client_has_a_stale_cache_until_somebody_tells_it(lab: Lab) -> None:
    """What an unsolicited neighbour advertisement is for, and that the observers notice when there is none."""
    lab.start_service("b")
    since = time.time()
    lab.watcher.wait_holders(["a"])
    lab.add_address("b")
    lab.watcher.wait_holders(["a", "b"])
    moved = lab.drop_address("a")
    lab.watcher.wait_holders(["b"])
    time.sleep(1)
    assert lab.hosts["a"].mac in lab.run("client", ["ip", "neigh", "show", "2001:db8::100"]).stdout
    assert lab.client.seconds_without_service(moved) is None
    assert lab.watcher.announcements(since) == []
    announced_at = lab.add_address("b", announce=True)
    assert lab.client.wait_good(timeout=5) - announced_at < 1
    assert lab.client.answered_by(announced_at) == "b"
    assert [one.host for one in lab.watcher.announcements(since)] == ["b"]
    assert lab.hosts["b"].mac in lab.run("client", ["ip", "neigh", "show", "2001:db8::100"]).stdout
    assert 0 < lab.watcher.held_by_two_seconds(since) < moved - since + 0.1

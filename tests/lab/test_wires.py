"""The wires' faults as nftables reads them."""

from __future__ import annotations

import pytest

from lab.switch import WireFaults


@pytest.mark.parametrize(
    ("faults", "rules"),
    [
        pytest.param(WireFaults(), [], id="nothing wrong"),
        pytest.param(WireFaults(dead={"a"}), ['iifname "port-a" drop', 'oifname "port-a" drop'], id="dead"),
        pytest.param(
            WireFaults(parted={("a", "b"): True, ("b", "a"): True}),
            ['iifname "port-a" oifname "port-b" drop', 'iifname "port-b" oifname "port-a" drop'],
            id="parted",
        ),
        pytest.param(
            WireFaults(parted={("a", "b"): False}),
            [
                'iifname "port-a" oifname "port-b" ether type != { arp, ip6 } drop',
                'iifname "port-a" oifname "port-b" ether type ip6 meta l4proto != ipv6-icmp drop',
                'iifname "port-a" oifname "port-b" icmpv6 type != { nd-neighbor-solicit, nd-neighbor-advert } drop',
            ],
            id="parted one way, ARP passes",
        ),
        pytest.param(
            WireFaults(slow={"a": 0.1}, dead={"a"}, parted={("b", "a"): True}, lost={("a", "in"): 0.3}),
            ['iifname "slow-a" drop', 'oifname "slow-a" drop', 'iifname "port-b" oifname "slow-a" drop',
             'oifname "slow-a" numgen random mod 10000 < 3000 drop'],
            id="behind a relay, which has a port of its own",
        ),
        pytest.param(
            WireFaults(lost={("a", "in"): 0.3, ("a", "out"): 0.005}),
            ['oifname "port-a" numgen random mod 10000 < 3000 drop',
             'iifname "port-a" numgen random mod 10000 < 50 drop'],
            id="lossy",
        ),
        pytest.param(
            WireFaults(lost={("a", "in"): 1.0, ("b", "in"): 0.0}),
            ['oifname "port-a" drop'],
            id="all and nothing",
        ),
    ],
)  # fmt: skip
def test_rules(faults: WireFaults, rules: list[str]) -> None:
    assert list(faults.list()) == rules
    assert all(rule in faults.rules() for rule in rules)


def test_heal_forgets_one_host_only() -> None:
    faults = WireFaults(
        dead={"a", "b"}, parted={("a", "b"): True, ("b", "c"): True}, lost={("a", "in"): 0.1},
        slow={"a": 0.1, "b": 0.2},
    )  # fmt: skip
    faults.heal("a")
    assert faults == WireFaults(dead={"b"}, parted={("b", "c"): True}, slow={"b": 0.2})

"""One clear line for what the lab lacks, and for addresses that the machine uses too."""

from __future__ import annotations

from typing import Any

import pytest

from lab import Lab, LabError, needs, plan

APART = "they do not conflict, but inside the lab these addresses are the lab's"


def address(local: str, length: int, card: str = "eth7") -> dict[str, Any]:
    return {"ifname": card, "addr_info": [{"local": local, "prefixlen": length}]}


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        pytest.param({"nft"}, "nft missing: apt-get install nftables", id="one"),
        pytest.param(
            {"nsenter", "unshare"}, "nsenter, unshare missing: apt-get install util-linux", id="one package"
        ),
        pytest.param(
            {"apachectl", "sshd"}, "apachectl, sshd missing: apt-get install apache2 openssh-server", id="two"
        ),
    ],
)
def test_missing_programs(missing: set[str], line: str) -> None:
    with pytest.raises(LabError) as fault:
        needs.check(uid=0, where=lambda program: None if program in missing else "/usr/bin/it")
    assert str(fault.value) == line


def test_not_root() -> None:
    with pytest.raises(LabError) as fault:
        needs.check(uid=1000)
    assert str(fault.value) == "the lab creates namespaces and needs root: run it with sudo"


@pytest.mark.parametrize(
    ("addresses", "routes", "line"),
    [
        pytest.param([address("10.0.0.1", 8)], [{"dst": "default", "dev": "eth7"}], None, id="none"),
        pytest.param(
            [address("192.0.2.7", 24)], [],
            "this machine uses 192.0.2.7/24 (eth7), and the lab 192.0.2.0/24: " + APART,
            id="an address",
        ),
        pytest.param(
            [], [{"dst": "192.0.2.128/25", "dev": "tun0"}],
            "this machine uses 192.0.2.128/25 (tun0), and the lab 192.0.2.0/24: " + APART,
            id="a route",
        ),
        pytest.param(
            [address("2001:db8::5", 48)], [],
            "this machine uses 2001:db8::5/48 (eth7), and the lab 2001:db8::/64: " + APART,
            id="IPv6",
        ),
    ],
)  # fmt: skip
def test_clash(addresses: list[dict[str, Any]], routes: list[dict[str, Any]], line: str | None) -> None:
    assert plan.clash(addresses, routes) == line


@pytest.mark.parametrize(
    ("options", "line"),
    [
        pytest.param({"hosts": ("a", "z")}, "there is no host 'z': choose from a, b, c", id="unknown host"),
        pytest.param(
            {"holder": "c"},
            "'c' cannot hold the service address: it is not among a, b",
            id="a holder that is not there",
        ),
    ],
)
def test_wrong_use(options: dict[str, Any], line: str) -> None:
    with pytest.raises(LabError) as fault:
        Lab(**options)
    assert str(fault.value) == line

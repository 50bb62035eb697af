"""The hosts of a lab: names, addresses, network cards. The same in every lab, because labs are isolated."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface, ip_network
from types import MappingProxyType
from typing import Any, Literal

from lab.needs import ENVIRONMENT

NETWORK = ip_network("192.0.2.0/24")  # TEST-NET-1, RFC 5737
NETWORK6 = ip_network("2001:db8::/64")  # RFC 3849
SERVICE_ADDRESS = IPv4Interface("192.0.2.100/24")
SERVICE_ADDRESS6 = IPv6Interface("2001:db8::100/64")
CARD = "eth0"  # the name of every host's network card

Address = IPv4Address | IPv6Address
InterfaceAddress = IPv4Interface | IPv6Interface
IPVersions = Literal["ipv4", "ipv6", "both"]


@dataclass(frozen=True, slots=True)
class Speech:
    """The IP versions in a lab: those of the hosts' own addresses, and the service addresses."""

    hosts: tuple[int, ...]
    service: tuple[InterfaceAddress, ...]


SPEECH: MappingProxyType[IPVersions, Speech] = MappingProxyType(
    {
        "ipv4": Speech((4, 6), (SERVICE_ADDRESS,)),
        "ipv6": Speech((6,), (SERVICE_ADDRESS6,)),
        "both": Speech((4, 6), (SERVICE_ADDRESS, SERVICE_ADDRESS6)),
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """One host's place in the lab. `number` ends its addresses and its MAC; without one it has no address."""

    name: str
    number: int | None
    has_disk: bool  # whether it has its own file system, sshd and Apache
    mac: str

    @property
    def address(self) -> IPv4Address:
        """The host's own IPv4 address."""
        return IPv4Address(int(NETWORK.network_address) + self._number)

    @property
    def address6(self) -> IPv6Address:
        """The host's own IPv6 address: with the same final digits as the IPv4 one, for readability."""
        return IPv6Address(f"2001:db8::{self._number}")

    @property
    def _number(self) -> int:
        if self.number is None:
            raise ValueError(f"{self.name} has no address")
        return self.number


def _place(name: str, number: int | None, *, has_disk: bool = False, tail: int = 0) -> Place:
    return Place(name, number, has_disk, f"02:00:5e:10:00:{number or tail:02x}")


PLACES = MappingProxyType(
    {
        place.name: place
        for place in (
            _place("a", 1, has_disk=True),
            _place("b", 2, has_disk=True),
            _place("c", 3, has_disk=True),
            _place("gw", 254),
            _place("client", 200),
            # The watcher has its own card and no address, so that its requests change no cache.
            _place("watcher", None, tail=0xFD),
        )
    }
)
SERVERS = tuple(place.name for place in PLACES.values() if place.has_disk)
ADMINISTRATOR = "b"  # the administrator's host: it has the key and the other hosts' host keys


def _ask(what: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["ip", "-j", what], env=dict(ENVIRONMENT), capture_output=True, text=True, timeout=5, check=True
    )
    answer: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return answer


def clash(
    addresses: list[dict[str, Any]] | None = None, routes: list[dict[str, Any]] | None = None
) -> str | None:
    """Return one line if the machine itself uses addresses of the lab, according to `ip -j address` and `route`.

    This is not an error: the lab's bridge is in a network namespace without a route out, so both work.
    """
    own = [
        (f"{info['local']}/{info['prefixlen']}", str(link.get("ifname", "?")))
        for link in (_ask("address") if addresses is None else addresses)
        for info in link.get("addr_info", [])
        if "local" in info
    ]
    ways = [
        (str(route["dst"]), str(route.get("dev", "?")))
        for route in (_ask("route") if routes is None else routes)
        if route.get("dst", "default") != "default"
    ]
    for text, card in own + ways:
        network = ip_interface(text).network
        for mine in (NETWORK, NETWORK6):
            if network.version == mine.version and network.overlaps(mine):
                return (
                    f"this machine uses {text} ({card}), and the lab {mine}: they do not conflict, "
                    "but inside the lab these addresses are the lab's"
                )
    return None

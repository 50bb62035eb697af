"""Read this host's own addresses from the kernel, because a host does not receive its own ARP answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from locum_inventory.site.model import Address, InterfaceAddress

# include/uapi/linux/if_addr.h: an address that is not (or not yet) in use, because another host may have it.
_NOT_IN_USE = 0x40 | 0x08  # IFA_F_TENTATIVE | IFA_F_DADFAILED

_LOOPBACK_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """One address of this host, with its prefix and the interface it is on."""

    interface: str
    address: InterfaceAddress


@dataclass(frozen=True, slots=True)
class LocalHost:
    """This host's addresses in use, and the MAC addresses of all its interfaces."""

    addresses: tuple[LocalAddress, ...]
    macs: frozenset[str]

    def holds(self, address: Address) -> bool:
        """Return whether an address is in use on any interface of this host."""
        return any(local.address.ip == address for local in self.addresses)

    def link_local(self, interface: str) -> IPv6Address | None:
        """Return the IPv6 link-local address of an interface, or None."""
        for local in self.addresses:
            ip = local.address.ip
            if local.interface == interface and isinstance(ip, IPv6Address) and ip.is_link_local:
                return ip
        return None

    def ipv4(self, interface: str) -> IPv4Address | None:
        """Return an IPv4 address of an interface whose prefix is a network, or None."""
        for local in self.addresses:
            ip = local.address.ip
            if (
                local.interface == interface
                and isinstance(ip, IPv4Address)
                and local.address.network.num_addresses > 1
            ):
                return ip
        return None

    def interface_towards(self, address: Address) -> str | None:
        """Return the interface with the narrowest network that contains an address, or None."""
        on_link = [
            local
            for local in self.addresses
            if local.address.version == address.version
            and local.address.network.num_addresses > 1
            and address in local.address.network
        ]
        if not on_link:
            return None
        return max(on_link, key=lambda local: local.address.network.prefixlen).interface


async def local_host() -> LocalHost:
    """Query the kernel over netlink (rtnetlink(7)) in about 2 ms. Raises OSError if it does not answer."""
    async with AsyncIPRoute() as route:
        links = [link async for link in await route.link("dump")]
        addresses = [entry async for entry in await route.addr("dump")]
    names = {link["index"]: str(link.get("ifname")) for link in links}
    macs = frozenset(str(mac).lower() for link in links if (mac := link.get("address"))) - {_LOOPBACK_MAC}
    return LocalHost(tuple(_in_use(addresses, names)), macs)


async def neighbours_towards(interface: str, targets: Iterable[Address]) -> tuple[Address, ...]:
    """Return the first hop on the network of an interface for each target: the target itself or a gateway.

    Targets that this host reaches through another interface, or not at all, have none.
    """
    found: list[Address] = []
    async with AsyncIPRoute() as route:
        indexes = await route.link_lookup(ifname=interface)
        for target in targets:
            try:
                ways = await route.route("get", dst=str(target))
            except NetlinkError:
                continue  # no route to it
            found += [
                ip_address(way.get("gateway") or str(target))
                for way in ways
                if way.get("oif") in indexes
                and way.get("via") is None  # via: a gateway of the other IP version
            ]
    return tuple(dict.fromkeys(found))


async def local_addresses() -> frozenset[Address]:
    """Return the addresses in use on this host."""
    return frozenset(local.address.ip for local in (await local_host()).addresses)


async def configured_addresses() -> frozenset[Address]:
    """Return all addresses of this host, in use or not yet. Raises OSError if the kernel does not answer."""
    async with AsyncIPRoute() as route:
        entries = [entry async for entry in await route.addr("dump")]
    texts = (entry.get("local") or entry.get("address") for entry in entries)
    return frozenset(ip_address(text) for text in texts if text)


def _in_use(entries: Iterable[object], names: dict[int, str]) -> Iterable[LocalAddress]:
    for entry in entries:
        get = entry.get  # type: ignore[attr-defined]  # pyroute2 has no types
        if (get("flags") or 0) & _NOT_IN_USE:
            continue
        # IFA_LOCAL is this end; on point-to-point links IFA_ADDRESS is the other one.
        text = get("local") or get("address")
        if text:
            interface = names.get(get("index"), "")
            yield LocalAddress(interface, ip_interface(f"{text}/{get('prefixlen')}"))

"""Service addresses on this machine's interfaces, over rtnetlink (rtnetlink(7)). Needs CAP_NET_ADMIN.

Idempotent: adding what is there and removing what is not are both fine. Addresses are compared as values, never as
text. To be called from plain threads: pyroute2's IPRoute does not run inside an event loop.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from pathlib import Path

from pyroute2 import IPRoute, NetlinkError

from locum_inventory.model import Address, Interface

_NODAD = 0x02  # IFA_F_NODAD: usable at once; who else has the address was asked before (linux/if_addr.h)


class NetlinkFault(Exception):  # noqa: N818 - why the kernel said no
    """The kernel would not do it; the text says what and why."""


def held(addresses: list[Interface] | tuple[Interface, ...]) -> set[Address]:
    """Return those of `addresses` that an interface of this machine has, whatever its prefix length."""
    return {address.ip for address in addresses} & present()


def present() -> set[Address]:
    """Return every address that this machine has, on any interface."""
    with IPRoute() as route:
        texts = [
            message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS") for message in route.get_addr()
        ]
    return {ipaddress.ip_address(text) for text in texts if text}


def add(interface: str, address: Interface) -> None:
    """Put a service address on an interface."""
    with IPRoute() as route:
        index = _index(route, interface)
        options = {"flags": _NODAD} if address.version == 6 else {}
        try:
            route.addr(
                "replace",
                index=index,
                address=str(address.ip),
                prefixlen=address.network.prefixlen,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                **options,
            )
        except NetlinkError as fault:
            raise NetlinkFault(f"{address} cannot be added to {interface}: {fault.args[-1]}") from fault


def remove(address: Interface) -> None:
    """Take a service address off whatever interface has it, and leave the interface's other addresses."""
    with IPRoute() as route:
        for message in route.get_addr():
            text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            if not text or ipaddress.ip_address(text) != address.ip:
                continue
            _promote_secondaries(route, message["index"])
            try:
                route.addr(
                    "delete", index=message["index"], address=str(address.ip), prefixlen=message["prefixlen"]
                )
            except NetlinkError as fault:
                if fault.code != errno.EADDRNOTAVAIL:
                    raise NetlinkFault(f"{address} cannot be removed: {fault.args[-1]}") from fault


def _index(route: IPRoute, interface: str) -> int:
    found: list[int] = route.link_lookup(ifname=interface)
    if not found:
        raise NetlinkFault(f"there is no interface {interface} on this host")
    return found[0]


def _promote_secondaries(route: IPRoute, index: int) -> None:
    """Keep the kernel from dropping the subnet's other addresses with its first (ip-sysctl, promote_secondaries).

    Best effort: without root it may be read-only, and then /32 and /128 service addresses keep out of it.
    """
    (link,) = route.get_links(index)
    path = Path("/proc/sys/net/ipv4/conf") / str(link.get_attr("IFLA_IFNAME")) / "promote_secondaries"
    try:
        if path.read_text().strip() == "0":
            path.write_text("1\n")
    except OSError:
        return

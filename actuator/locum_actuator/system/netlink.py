"""Add, remove and list service addresses on this machine's interfaces (rtnetlink(7)). Needs CAP_NET_ADMIN.

Idempotent: adding an existing address and removing a missing one both succeed. Addresses are compared as values,
never as text. Call it from plain threads: pyroute2's IPRoute does not run inside an event loop.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from locum_inventory.errors import LocumError
from locum_inventory.site.model import Address, InterfaceAddress

# Flags of linux/if_addr.h.
_NODAD = 0x02  # usable at once, because locum has already probed for another owner
_TENTATIVE = 0x40  # the kernel still probes for another owner and does not answer for the address (RFC 4862)
_DADFAILED = 0x08  # … and has found one: the address stays on the interface, unused, until it is removed
_INFINITE_LIFETIME = 0xFFFFFFFF  # INFINITY_LIFE_TIME of linux/if_addr.h


class AddressChangeError(LocumError):
    """The kernel refused a change; the text names the change and the reason."""


def held(addresses: list[InterfaceAddress] | tuple[InterfaceAddress, ...]) -> set[Address]:
    """Return those of `addresses` that an interface of this machine has and uses, whatever its prefix length."""
    return {address.ip for address in addresses} & present()


def present() -> set[Address]:
    """Return every address that this machine has and uses, on any interface."""
    with IPRoute() as route:
        return {address for address, message in _listed(route) if _why_unusable(message) is None}


def unusable(addresses: list[InterfaceAddress] | tuple[InterfaceAddress, ...]) -> dict[Address, str]:
    """Return those of `addresses` that are on an interface but not usable, each with `tentative` or `dadfailed`."""
    wanted = {address.ip for address in addresses}
    with IPRoute() as route:
        states = [
            (address, _why_unusable(message)) for address, message in _listed(route) if address in wanted
        ]
    used = {address for address, why in states if why is None}
    return {address: why for address, why in states if why is not None and address not in used}


def add(interface: str, address: InterfaceAddress, *, right_before: Callable[[], None] | None = None) -> None:
    """Put a service address on an interface, once `right_before` has returned. Raises `AddressChangeError`.

    An IPv6 address is added as deprecated (RFC 4862, 5.5.4): the kernel would otherwise choose it as the source of
    connections that this host opens, and those would break when the address moves. One that is there but unusable
    is removed first, because the kernel never repeats a failed duplicate address detection.
    """
    if unusable((address,)):
        remove(address)
    with IPRoute() as route:
        index = _index(route, interface)
        of_ipv6 = {"flags": _NODAD, "preferred": 0, "valid": _INFINITE_LIFETIME}
        options = of_ipv6 if address.version == 6 else {}
        if right_before is not None:
            right_before()
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
            raise AddressChangeError(f"{address} cannot be added to {interface}: {fault.args[-1]}") from fault


def remove(address: InterfaceAddress) -> None:
    """Remove a service address from every interface that has it, and keep their other addresses."""
    with IPRoute() as route:
        for found, message in list(_listed(route)):
            if found != address.ip:
                continue
            _promote_secondaries(route, message["index"])
            try:
                route.addr(
                    "delete", index=message["index"], address=str(address.ip), prefixlen=message["prefixlen"]
                )
            except NetlinkError as fault:
                if fault.code != errno.EADDRNOTAVAIL:
                    raise AddressChangeError(f"{address} cannot be removed: {fault.args[-1]}") from fault


def _listed(route: IPRoute) -> Iterator[tuple[Address, Any]]:
    """Yield every address of this machine with the kernel's message about it."""
    for message in route.get_addr():
        # IFA_LOCAL is this end; on point-to-point links IFA_ADDRESS is the other one.
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if text:
            yield ipaddress.ip_address(text), message


def _why_unusable(message: Any) -> str | None:
    """Return why an address is not in use; None if it is."""
    flags = message.get_attr("IFA_FLAGS") or message["flags"]
    if flags & _DADFAILED:
        return "dadfailed"
    return "tentative" if flags & _TENTATIVE else None


def _index(route: IPRoute, interface: str) -> int:
    found: list[int] = route.link_lookup(ifname=interface)
    if not found:
        raise AddressChangeError(f"there is no interface {interface} on this host")
    return found[0]


def _promote_secondaries(route: IPRoute, index: int) -> None:
    """Keep the kernel from dropping the subnet's other addresses with its first (ip-sysctl, promote_secondaries).

    Best effort: without root the setting may be read-only; service addresses with /32 or /128 are not affected.
    """
    (link,) = route.get_links(index)
    path = Path("/proc/sys/net/ipv4/conf") / str(link.get_attr("IFLA_IFNAME")) / "promote_secondaries"
    try:
        if path.read_text().strip() == "0":
            path.write_text("1\n")
    except OSError:
        return

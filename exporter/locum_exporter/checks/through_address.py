"""A deciding check through the service addresses, as a client would make it: it verifies the network path too.

A host that holds an address reaches it without any network, so its own answer is no evidence about that path.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from locum_exporter.net.local_addresses import local_addresses
from locum_exporter.result import CheckResult, gravest_reason
from locum_inventory.site.model import Address

Ask = Callable[[Address], Coroutine[Any, Any, CheckResult]]


async def through_addresses(service: str, addresses: Sequence[Address], ask: Ask) -> CheckResult:
    """Check every service address that this host has a route to; the result is well if all of them are.

    The result is "not looked" if this host holds one of them itself or has a route to none of them.
    """
    name = f"{service} through its address"
    try:
        here = await local_addresses()
    except OSError as error:
        return CheckResult("permission", 0.0, f"{name}: this host's own addresses are not known: {error}")
    if held := [str(address) for address in addresses if address in here]:
        text = f"{name}: this host holds {', '.join(held)} itself, so it cannot check the network path to it"
        return CheckResult("holder", 0.0, text)
    asked = [address for address in addresses if has_route_to(address)]
    if not asked:
        return CheckResult("interface", 0.0, f"{name}: this host has no route to it")
    results = await asyncio.gather(*(ask(address) for address in asked))
    gravest = gravest_reason(result.reason for result in results)
    found = next(result for result in results if result.reason == gravest)
    return CheckResult(
        found.reason, max(result.seconds for result in results), f"{name}: {found.text}", found.details
    )


def has_route_to(address: Address) -> bool:
    """Return whether this host has a route to an address: without IPv6 it cannot check an IPv6 address."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((str(address), 9))  # sends nothing: connect(2) of a datagram socket
    except OSError:
        return False
    return True

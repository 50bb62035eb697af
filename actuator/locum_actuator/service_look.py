"""One look at a service on one address: all the checks that decide whether it is well, at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

from locum_actuator.situation import Look
from locum_exporter.checks.http import http
from locum_exporter.checks.ping import ping
from locum_exporter.checks.process import process
from locum_exporter.checks.tcp import tcp
from locum_exporter.icmp import Pinger
from locum_exporter.result import CheckResult
from locum_inventory.model import Address, Checks
from locum_inventory.shell import Shell

# A process check fails for these reasons only when the process was looked for; else it could not look.
_LOOKED = {None, "absent"}

Ask = Callable[[float], Coroutine[Any, Any, CheckResult]]  # asks within so many seconds

ONCE_MORE_SECONDS = 0.12  # without an answer, then a second connection is tried


async def look_at_service(
    checks: Checks,
    address: Address,
    deadline_seconds: float,
    *,
    vantage_point: str,
    pinger: Pinger,
    service: str,
    shell: Shell | None,
    executor: Executor,
) -> Look:
    """Run the deciding checks of a service; it is well when all succeed.

    `shell` is that of the host being checked, for a service that is known by its process alone.
    """
    deciding = checks.deciding
    if "process" in deciding:
        if shell is None:
            return Look(vantage_point, None, "its process cannot be looked for through an address")
        result = await process(shell, service, deadline_seconds, executor=executor)
        return Look(vantage_point, result.success if result.reason in _LOOKED else None, result.text)
    if "ping" in deciding:
        result = await ping(pinger, address, deadline_seconds)
        return Look(vantage_point, None if result.reason == "permission" else result.success, result.text)
    asks: list[Ask] = []
    if checks.http is not None:
        asks.append(partial(http, checks.http, address))
    if checks.tcp is not None:
        asks.append(partial(tcp, checks.tcp, address))
    results = await asyncio.gather(*(asked_twice(ask, deadline_seconds) for ask in asks))
    told = [result for result in results if not result.success] or results
    text = "; ".join(result.text for result in told)
    if any(result.reason == "permission" for result in told):
        return Look(vantage_point, None, text)  # what is missing is missing here
    return Look(vantage_point, all(result.success for result in results), text)


async def asked_twice(ask: Ask, deadline_seconds: float) -> CheckResult:
    """Return how a check went that is asked once more where it has no answer soon; either answer will do.

    The first packet of a connection, once lost, is sent again after a second (RFC 6298), which is later than a look
    ends: a service would look hung that lost only that. Two connections, a while apart, are not lost at one blow.
    They have one deadline, so that who does not answer at all is known as soon as before.
    """
    first = asyncio.create_task(ask(deadline_seconds))
    tasks = {first}
    try:
        done, _ = await asyncio.wait(tasks, timeout=ONCE_MORE_SECONDS)
        if not done and deadline_seconds > ONCE_MORE_SECONDS:
            tasks.add(asyncio.create_task(ask(deadline_seconds - ONCE_MORE_SECONDS)))
        for coming in asyncio.as_completed(tasks):
            if (result := await coming).success:
                return result
        return first.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def joined(looks: Sequence[Look]) -> Look:
    """Return looks from one vantage point as one: well where all are, told by those that are not."""
    told = [look for look in looks if not look.well] or looks
    well = None if any(look.well is None for look in looks) else all(look.well for look in looks)
    return Look(looks[0].vantage_point, well, "; ".join(look.text for look in told))


def has_way_to(address: Address) -> bool:
    """Tell whether this host has a route to an address: one without IPv6 cannot look through an address of it."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((str(address), 9))  # sends nothing: connect(2) of a datagram socket
    except OSError:
        return False
    return True

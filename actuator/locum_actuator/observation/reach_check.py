"""Check a service through its addresses, from this host and every other vantage point at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.observation.service_check import joined
from locum_actuator.observation.vantage_points import ask_through
from locum_exporter.checks.through_address import has_route_to
from locum_exporter.net.local_addresses import local_addresses
from locum_exporter.probe_request import through_checks
from locum_exporter.result import Outcome
from locum_inventory.site.model import Address, Site

LookAt = Callable[
    [Address], Coroutine[Any, Any, CheckOutcome]
]  # runs the deciding checks on an address, from this host


async def look_through(
    session: aiohttp.ClientSession, site: Site, name: str, look_at: LookAt, deadline_seconds: float
) -> Reach | None:
    """Return whether the service is reached through its addresses; None if it has none to check.

    One answer is enough; the others are then not waited for.
    """
    service, local = site.services[name], site.actuator.host
    if not through_checks(service):
        return None
    here = asyncio.create_task(_from_here(site, name, look_at))
    asked = {
        asyncio.create_task(
            ask_through(
                session, point, values.url, name=name, service=service, deadline_seconds=deadline_seconds
            )
        ): point
        for point, values in site.vantage_points.items()
        if point != local
    }
    try:
        pending: set[asyncio.Task[Any]] = {here, *asked}
        while pending and not any(_is_well(task, here) for task in ({here, *asked} - pending)):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        outside = tuple(task.result() for task in asked if task.done())
        if not here.done():
            return Reach(outside)
        look, holds = here.result()
        return Reach(outside, look) if holds else Reach((look, *outside))
    finally:
        for task in (here, *asked):
            task.cancel()
        await asyncio.gather(here, *asked, return_exceptions=True)


def _is_well(task: asyncio.Task[Any], here: asyncio.Task[tuple[CheckOutcome, bool]]) -> bool:
    """Return whether a finished task shows that the service is reached."""
    if task is here:
        look, holds = here.result()
        return look.outcome is Outcome.WELL and not holds
    found: CheckOutcome = task.result()
    return found.outcome is Outcome.WELL


async def _from_here(site: Site, name: str, look_at: LookAt) -> tuple[CheckOutcome, bool]:
    """Return this host's result, and whether it holds one of the addresses itself."""
    local = site.actuator.host
    addresses = [address.ip for address in site.services[name].addresses]
    try:
        held = await local_addresses()
    except OSError as error:
        text = f"this host's own addresses are not known: {error}"
        return CheckOutcome(local, Outcome.NOT_LOOKED, text, "permission"), False
    asked = [address for address in addresses if has_route_to(address)]
    if not asked:
        return CheckOutcome(local, Outcome.NOT_LOOKED, "this host has no route to it", "interface"), False
    looks = await asyncio.gather(*(look_at(address) for address in asked))
    return joined(looks), not held.isdisjoint(addresses)

"""Compare the running actuator's site with the site file: warn about what a reload would leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface
from typing import Any

import aiohttp

from locum_actuator.cli.common.api_client import DEFAULT_URL
from locum_actuator.cli.live_check.finding import Finding
from locum_inventory.site.model import Site

DEADLINE_SECONDS = 3.0
WHAT = "running actuator"


async def differences(site: Site, url: str = DEFAULT_URL) -> list[Finding]:
    """Return what to check before a reload; nothing if no actuator answers on this machine."""
    timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(f"{url}/api/v1/services", allow_redirects=False) as answer,
        ):
            rows = (await answer.json())["services"]
            return [Finding(WHAT, "note", text, fix) for row in rows for text, fix in _left(site, row)]
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError, KeyError, TypeError):
        return []  # other checks report faults of the chain


def _left(site: Site, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    name, holder = row["service"], row["holder"]
    if name not in site.services:
        where = f"it stays on {holder}, unmonitored" if holder else "it is not monitored"
        yield f"{name} is no longer in the site file: after a reload {where}", ""
        return
    named = {address.ip for service in site.services.values() for address in service.addresses}
    for text in row["addresses"]:
        if (address := ip_interface(text)).ip not in named:
            yield (
                f"{address.ip} of {name} is no longer in the site file: a reload is refused while a host has it",
                f"locum pause {name}, remove it from {holder or 'that host'}, reload, locum resume {name}",
            )
    if holder is not None and holder not in site.services[name].hosts:
        yield (
            f"{holder} holds {name} and is no longer among its hosts: a reload is refused while it has the address",
            "move the service to another of its hosts first",
        )

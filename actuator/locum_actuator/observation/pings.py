"""Ping hosts and witnesses: how many echoes, and how long to wait for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from ipaddress import ip_address

from locum_exporter.net.icmp import Burst, Pinger
from locum_inventory.site.model import Address

# A host behind 30 % loss each way returns an echo with probability 0.49. It returns none of 20 once in 700,000
# bursts (0.51^20), well below the promised once in 10,000.
BURST_ECHOES = 20
BURST_SPACING_SECONDS = 0.015
BURST_WAIT_SECONDS = 0.1
BURST_ENOUGH = 5  # this many in a row, none missing, are enough if everything else has answered
WITNESS_ECHOES = 5
WITNESS_SPACING_SECONDS = 0.03
# An answer of the service or of the gate takes this many round trips: connection, TLS, request. If these alone take
# longer than the check, silence may be delay.
ROUND_TRIPS = 4


async def full_burst(pinger: Pinger, address: Address, hurry: asyncio.Event) -> Burst:
    """Send as many echoes as it takes to call a host dead; fewer if `hurry` is set and none is missing."""
    return await pinger.burst(
        address,
        count=BURST_ECHOES,
        spacing_seconds=BURST_SPACING_SECONDS,
        wait_seconds=BURST_WAIT_SECONDS,
        enough=BURST_ENOUGH,
        hurry=hurry,
    )


async def few_echoes(pinger: Pinger, address: Address) -> Burst:
    """Ping an address until its first echo, at most `WITNESS_ECHOES` times."""
    return await pinger.burst(
        address,
        count=WITNESS_ECHOES,
        spacing_seconds=WITNESS_SPACING_SECONDS,
        wait_seconds=BURST_WAIT_SECONDS,
        enough=1,
    )


async def ping_witnesses(
    pinger: Pinger, witnesses: Iterable[Address], source: str | None = None
) -> dict[str, bool]:
    """Ping every witness; with `source` only those of its IP version, from that address."""
    origin = ip_address(source) if source else None
    asked = [witness for witness in witnesses if origin is None or witness.version == origin.version]
    async with contextlib.AsyncExitStack() as stack:
        chosen = pinger if origin is None else await stack.enter_async_context(Pinger(source=origin))
        bursts = await asyncio.gather(*(few_echoes(chosen, witness) for witness in asked))
    return {str(witness): burst.received > 0 for witness, burst in zip(asked, bursts, strict=True)}


def is_slow(burst: Burst, deadline_seconds: float, *, heard: bool) -> bool:
    """Return whether a host's echoes are so late that no other check could be answered within its deadline."""
    if not burst.received:
        return heard
    return ROUND_TRIPS * min(burst.rtts_seconds) > deadline_seconds

"""Check reachability with one ICMP echo request. Details: `rtt_seconds`."""

from __future__ import annotations

import time

from locum_exporter.net.icmp import Pinger
from locum_exporter.result import CheckResult
from locum_inventory.site.model import Address


async def ping(pinger: Pinger, address: Address, deadline_seconds: float) -> CheckResult:
    """Check whether a host answers an echo request."""
    started_at = time.perf_counter()
    echo = await pinger.ping(address, deadline_seconds)
    seconds = time.perf_counter() - started_at
    if echo.rtt_seconds is None:
        return CheckResult(echo.reason, seconds, f"ping {address}: {echo.text}")
    return CheckResult(
        None,
        seconds,
        f"ping {address}: answered in {echo.rtt_seconds * 1000:.2f} ms",
        {"rtt_seconds": echo.rtt_seconds},
    )

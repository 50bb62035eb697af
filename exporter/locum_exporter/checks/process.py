"""Check through a host's gate whether a process is running: present, absent, or not checked. Details: `count`.

`count` is present exactly if the gate could check; the gate does not count zombies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Executor

from locum_exporter.result import CheckResult, Reason
from locum_inventory.gate.protocol import FaultReason, GateClient, GateError

_REASONS: Mapping[FaultReason, Reason] = {
    "unreachable": "unreachable",
    "refused": "refused",
    "timeout": "timeout",
    "auth": "auth",
    "host_key_unknown": "host_key_unknown",
    "host_key_changed": "host_key_changed",
    "closed": "reset",
    "busy": "busy",
}


async def process(
    gate: GateClient, service_name: str, deadline_seconds: float, *, executor: Executor | None = None
) -> CheckResult:
    """Ask a host's gate whether a service's process is running.

    `GateClient.count_processes` blocks, so it runs in a thread of `executor` (the loop's own by default).
    """
    started_at = time.perf_counter()
    loop = asyncio.get_running_loop()
    where = f"process of {service_name}"
    try:
        # The gate client enforces the deadline itself; this one covers the wait for a free thread.
        async with asyncio.timeout(deadline_seconds):
            counts = await loop.run_in_executor(
                executor, lambda: gate.count_processes(deadline_seconds=deadline_seconds)
            )
    except GateError as fault:
        reason = _REASONS.get(fault.reason, "shell")
        return CheckResult(reason, _since(started_at), f"{where}: could not check: {fault}")
    except TimeoutError:
        text = f"{where}: could not check within {deadline_seconds * 1000:.0f} ms"
        return CheckResult("timeout", _since(started_at), text)
    count = counts.get(service_name)
    if count is None:
        text = (
            f"{where}: could not check: the gate does not know this service; run `locum enrol` for this host"
        )
        return CheckResult("shell", _since(started_at), text)
    details = {"count": count}
    if count == 0:
        return CheckResult("absent", _since(started_at), f"{where}: none is running", details)
    return CheckResult(None, _since(started_at), f"{where}: {count} running", details)


def _since(started_at: float) -> float:
    return time.perf_counter() - started_at

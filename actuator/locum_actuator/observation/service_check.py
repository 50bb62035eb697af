"""Check a service on one address: run all its deciding checks at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from locum_actuator.domain.ports import Gates
from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.system import runtime
from locum_exporter.checks.http import http
from locum_exporter.checks.ping import ping
from locum_exporter.checks.process import process
from locum_exporter.checks.tcp import tcp
from locum_exporter.net.icmp import Pinger
from locum_exporter.result import CheckResult, Outcome, gravest_reason, outcome_of, service_outcome
from locum_inventory.gate.protocol import GateClient
from locum_inventory.site.model import Address, Checks, Service, Site

Ask = Callable[[float], Coroutine[Any, Any, CheckResult]]  # runs a check with a deadline in seconds

ONCE_MORE_SECONDS = 0.12  # without an answer for this long, a second connection is tried


def look_seconds(service: Service) -> float:
    """Return how long a service may take to answer the actuator's own checks, in seconds."""
    return min(max(1.4 * service.interval_seconds, 0.35), 3.0)


class LocalChecks:
    """The deciding checks of a site's services, run from this host."""

    def __init__(self, site: Site, gates: Gates, pinger: Pinger, pool: runtime.Executor) -> None:
        self._site = site
        self._gates = gates
        self._pinger = pinger
        self._pool = pool

    async def run(
        self, service: str, address: Address, host: str | None, seconds: float | None = None
    ) -> CheckOutcome:
        """Check a service on an address; `host` has that address, None if it is a service address."""
        values = self._site.services[service]
        return await look_at_service(
            values.checks,
            address,
            look_seconds(values) if seconds is None else seconds,
            vantage_point=self._site.actuator.host,
            pinger=self._pinger,
            service=service,
            gate=self._gates[host] if host else None,
            executor=self._pool,
        )


async def look_at_service(
    checks: Checks,
    address: Address,
    deadline_seconds: float,
    *,
    vantage_point: str,
    pinger: Pinger,
    service: str,
    gate: GateClient | None,
    executor: runtime.Executor,
) -> CheckOutcome:
    """Run the deciding checks of a service; it is well if all succeed.

    `gate` is that of the checked host, for a service whose only deciding check is its process.
    """
    deciding = checks.deciding
    if "process" in deciding:
        if gate is None:
            text = "a process cannot be checked through an address"
            return CheckOutcome(vantage_point, Outcome.NOT_LOOKED, text, "shell")
        result = await process(gate, service, deadline_seconds, executor=executor)
        return CheckOutcome(
            vantage_point, service_outcome("process", result.reason), result.text, result.reason
        )
    if "ping" in deciding:
        result = await ping(pinger, address, deadline_seconds)
        return CheckOutcome(vantage_point, result.outcome, result.text, result.reason)
    asks: list[Ask] = []
    if checks.http is not None:
        asks.append(partial(http, checks.http, address))
    if checks.tcp is not None:
        asks.append(partial(tcp, checks.tcp, address))
    results = await asyncio.gather(*(asked_twice(ask, deadline_seconds) for ask in asks))
    faults = [result for result in results if result.outcome is not Outcome.WELL]
    text = "; ".join(result.text for result in faults or results)
    reason = gravest_reason(result.reason for result in results)
    return CheckOutcome(vantage_point, outcome_of(reason), text, reason)


async def asked_twice(ask: Ask, deadline_seconds: float) -> CheckResult:
    """Run a check, and a second time in parallel if it gets no answer soon; either success counts.

    A lost first packet of a connection is sent again after one second (RFC 6298), which is later than the check's
    deadline: a service would appear hung because of that one packet. Two connections some time apart are rarely
    lost together. Both have the same deadline, so that a silent service is detected as soon as before.
    """
    first = asyncio.create_task(ask(deadline_seconds))
    tasks = {first}
    try:
        done, _ = await asyncio.wait(tasks, timeout=ONCE_MORE_SECONDS)
        if not done and deadline_seconds > ONCE_MORE_SECONDS:
            tasks.add(asyncio.create_task(ask(deadline_seconds - ONCE_MORE_SECONDS)))
        for coming in asyncio.as_completed(tasks):
            if (result := await coming).outcome is Outcome.WELL:
                return result
        return first.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def joined(looks: Sequence[CheckOutcome]) -> CheckOutcome:
    """Join results of one vantage point: WELL if all are, FAILED if any failed, otherwise NOT_LOOKED."""
    outcomes = [look.outcome for look in looks]
    outcome = next((one for one in (Outcome.FAILED, Outcome.NOT_LOOKED) if one in outcomes), Outcome.WELL)
    faults = [look for look in looks if look.outcome is not Outcome.WELL]
    text = "; ".join(look.text for look in faults or looks)
    return CheckOutcome(looks[0].vantage_point, outcome, text, gravest_reason(look.reason for look in faults))

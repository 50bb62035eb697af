"""Check a host once more before it is switched off: its gate, and all services on it."""

from __future__ import annotations

import asyncio

from locum_actuator.domain.life import Life
from locum_actuator.observation.event_loop_lag import EventLoopLag
from locum_actuator.observation.gate_reports import GateReports, NoGateAnswer
from locum_actuator.observation.service_check import LocalChecks
from locum_exporter.result import Outcome
from locum_inventory.site.model import Service, Site

# The host gets more time if it answers ping. Both times are so short that the evidence from before is still fresh
# enough afterwards (plan_evidence.LOOK_SECONDS).
LAST_QUESTION_SECONDS = 0.6
LAST_QUESTION_TO_THE_SILENT_SECONDS = 0.4


async def check_for_life(
    site: Site, gates: GateReports, checks: LocalChecks, service: str, host: str, *, pinged: bool
) -> Life:
    """Return the signs of life of a host: of its gate and of the services on it, including this one.

    `pinged` says whether it answered ping; if not, it gets less time.
    """
    others = [
        name for name, values in site.services.items() if host in values.hosts and _is_asked_directly(values)
    ]
    seconds = LAST_QUESTION_SECONDS if pinged else LAST_QUESTION_TO_THE_SILENT_SECONDS
    address = site.hosts[host].address
    async with EventLoopLag() as lag:
        gate, looks = await asyncio.gather(
            gates.ask(service, host, seconds),
            asyncio.gather(*(checks.run(name, address, host, seconds) for name in others)),
        )
    services = tuple(name for name, look in zip(others, looks, strict=True) if look.outcome is Outcome.WELL)
    if not isinstance(gate, NoGateAnswer):
        return Life("its gate answers", services)
    if gate.answered:
        return Life(gate.sign_of_life, services)
    return Life(None, services, lag.hides_a_gate if gate.asked else gate.text)


def _is_asked_directly(service: Service) -> bool:
    """Return whether a check asks the service itself: a ping asks the host, a process check its gate."""
    return not {"ping", "process"} & set(service.checks.deciding)

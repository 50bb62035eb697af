"""Make all checks of one host of a service at the same time, and gather the results in one view."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import aiohttp

from locum_actuator.decision.fitness import why_drifted, why_unfit
from locum_actuator.domain.life import NO_LIFE, Life
from locum_actuator.domain.situation import CheckOutcome, HostView
from locum_actuator.observation.event_loop_lag import RecentLag
from locum_actuator.observation.gate_reports import GATE_SECONDS, GateReports, NoGateAnswer
from locum_actuator.observation.pings import full_burst, is_slow
from locum_actuator.observation.prompt_gate import PROMPT_CALLS
from locum_actuator.observation.service_check import LocalChecks, look_seconds
from locum_actuator.observation.vantage_points import Answer, ask
from locum_exporter.net.icmp import Burst, Pinger
from locum_exporter.result import Outcome, outcome_of
from locum_inventory.gate.protocol import ServiceStatus
from locum_inventory.site.model import Service, Site


class HostChecks:
    """The checks of a site's hosts: their services, from everywhere, their gates, and pings."""

    def __init__(
        self, site: Site, pinger: Pinger, gates: GateReports, checks: LocalChecks, recent_lag: RecentLag
    ) -> None:
        self._site = site
        self._local = site.actuator.host
        self._pinger = pinger
        self._gates = gates
        self._checks = checks
        self._recent_lag = recent_lag

    async def view(self, service: str, host: str, session: aiohttp.ClientSession) -> HostView:
        """Make every check of a host for a service; `session` asks the other vantage points."""
        values, address = self._site.services[service], self._site.hosts[host].address
        others = [name for name in self._site.voters(host) if name != self._local]
        seconds = look_seconds(values)
        asking = (
            ask(
                session,
                name,
                self._site.vantage_points[name].url,
                name=service,
                service=values,
                host=host,
                deadline_seconds=seconds,
            )
            for name in others
        )
        # If this host was late recently, the answer may be late because of this host.
        gate_seconds = GATE_SECONDS + self._recent_lag.allowance_seconds()
        begun, hurry = asyncio.get_running_loop().time(), asyncio.Event()
        # A silent host gets the full burst: five echoes without loss do not prove a clean line, because behind 30 %
        # loss each way they arrive once in 36 times (0.49^5), and twenty once in 1.5 million.
        burst = asyncio.create_task(full_burst(self._pinger, address, hurry))
        try:
            gate, here, elsewhere = await asyncio.gather(
                self._gates.ask(service, host, gate_seconds),
                self._checks.run(service, address, host),
                asyncio.gather(*asking),
            )
            hurry.set()
            seen = await burst
            prompt = False
            if isinstance(gate, ServiceStatus) and (seen.received < seen.sent or not seen.sent):
                prompt, here = await self._checked_with_its_gate(service, host, here)
            view = self.combine(service, host, begun, burst=seen, gate=gate, here=here, elsewhere=elsewhere)
            return replace(view, gate_prompt=prompt)
        finally:
            burst.cancel()

    async def _checked_with_its_gate(
        self, service: str, host: str, here: CheckOutcome
    ) -> tuple[bool, CheckOutcome]:
        """Call the gate many times if echoes are missing; return whether it was prompt, and the check to judge by.

        A service that did not answer is checked again at the same time: it counts as silent only if it does not
        answer while its line is proven to be clean.
        """
        values = self._site.services[service]
        if here.outcome is Outcome.WELL:
            again: asyncio.Future[CheckOutcome] = asyncio.get_running_loop().create_future()
            again.set_result(here)
        else:
            again = asyncio.ensure_future(self._checks.run(service, self._site.hosts[host].address, host))
        try:
            spacing_seconds = look_seconds(values) / (1.5 * PROMPT_CALLS)
            prompt = await self._gates.is_prompt(host, again, spacing_seconds)
            return prompt, await again if prompt else here
        finally:
            again.cancel()

    def combine(
        self, service: str, host: str, begun: float, *, burst: Burst, gate: ServiceStatus | NoGateAnswer,
        here: CheckOutcome, elsewhere: Sequence[Answer],
    ) -> HostView:  # fmt: skip
        """Build a host's view from the results of its checks, which began at `begun` (the loop's clock)."""
        values, address = self._site.services[service], self._site.hosts[host].address
        seconds = look_seconds(values)
        status = gate if isinstance(gate, ServiceStatus) else None
        heard = self._pinger.heard_since(address, begun)  # including echoes that arrived after the burst
        return HostView(
            name=host,
            echoes_sent=burst.sent,
            echoes_received=burst.received,
            ping_fault=burst.text or None,
            gate_fault=gate.text if isinstance(gate, NoGateAnswer) else None,
            gate_asked=not isinstance(gate, NoGateAnswer) or gate.asked,
            life=self._life_of(host, burst, gate) if isinstance(gate, NoGateAnswer) else NO_LIFE,
            holds=frozenset(a for a, held in status.held.items() if held) if status else None,
            unusable_addresses=status.unusable_addresses if status else {},
            processes=status.processes if status else None,
            age_seconds=status.age_seconds if status else None,
            underway=status.underway if status else None,
            epoch=status.epoch if status else 0,
            unfit=self._unfit(service, host) if status else None,
            drift=why_drifted(service, values, host, status) if status else None,
            looks=(counted_by_gate(here, values, status), *(answer.look for answer in elsewhere)),
            fenceable=bool(self._site.hosts[host].fence) and host != self._local,
            pinged_by=tuple(answer.look.vantage_point for answer in elsewhere if answer.echo is Outcome.WELL),
            silent_to=tuple(
                answer.look.vantage_point for answer in elsewhere if answer.echo is Outcome.FAILED
            ),
            silent_since=None if heard else begun,
            slow=is_slow(burst, seconds if status else min(seconds, GATE_SECONDS), heard=heard),
        )

    def _unfit(self, service: str, host: str) -> str | None:
        """Return why a host whose gate has just answered cannot be given a service."""
        reported = self._gates.last(host)
        values = self._site.services[service]
        return None if reported is None else why_unfit(service, values, host, reported)

    def _life_of(self, host: str, burst: Burst, gate: NoGateAnswer) -> Life:
        """Return the signs of life of a host whose gate is silent.

        A host that does not answer ping either may have died since its gate last answered; the burst is newer
        evidence. A gate that just answered, but does not know the service, is a sign of life whatever the pings
        show.
        """
        if gate.answered:
            return Life(gate.sign_of_life)
        seconds = self._gates.seconds_since_answer(host) if burst.received else None
        return NO_LIFE if seconds is None else Life(f"its gate answered {seconds:.1f} s ago")


def counted_by_gate(here: CheckOutcome, service: Service, status: ServiceStatus | None) -> CheckOutcome:
    """Use the gate's process count for a service whose only deciding check is its process.

    The check uses the kept `watch` connection; if that could not be asked, the gate's status has the count.
    """
    if here.outcome is not Outcome.NOT_LOOKED or service.checks.deciding != ("process",):
        return here
    if status is None or status.processes is None:
        return here
    reason = None if status.processes else "absent"
    text = f"its gate counts {status.processes} processes"
    return CheckOutcome(here.vantage_point, outcome_of(reason), text, reason)

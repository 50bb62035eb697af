"""Run all requested checks at once, with one deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace

from locum_exporter.checks.address import UNKNOWN_MAC, address
from locum_exporter.checks.http import http
from locum_exporter.checks.ping import ping
from locum_exporter.checks.process import process
from locum_exporter.checks.tcp import tcp
from locum_exporter.checks.through_address import through_addresses
from locum_exporter.event_loop_lag import LoopLag
from locum_exporter.gate_macs import GateMacs
from locum_exporter.net.icmp import Pinger
from locum_exporter.net.neighbours import Neighbours
from locum_exporter.probe_request import ProbeRequest
from locum_exporter.result import CheckResult
from locum_inventory.gate.protocol import GateClient
from locum_inventory.site.model import Address, Site

_LATE_SHARE = 0.5  # share of a check's deadline during which this program was blocked


class Runner:
    """Runs checks for one site, from one host and one event loop.

    `this_name` is the name of this host in the site file, if it is there. `gates` has the reachable gates by host
    name.
    """

    def __init__(
        self,
        site: Site,
        *,
        this_name: str | None,
        pinger: Pinger,
        neighbours: Neighbours,
        gates: Mapping[str, GateClient],
        executor: Executor | None = None,
        lag: LoopLag | None = None,
    ) -> None:
        self.site = site
        self.this_name = this_name
        self._pinger = pinger
        self._neighbours = neighbours
        self._gates = gates
        self._executor = executor
        self._lag = lag
        self._gate_macs = GateMacs(gates, executor)

    async def run(
        self, looks: Iterable[ProbeRequest], deadline_seconds: float
    ) -> dict[ProbeRequest, CheckResult]:
        """Run all checks at once. None of them takes longer than the deadline, and none raises for a failure."""
        asked = list(dict.fromkeys(looks))
        results = await asyncio.gather(*(self.run_one(look, deadline_seconds) for look in asked))
        return dict(zip(asked, results, strict=True))

    async def run_one(self, look: ProbeRequest, deadline_seconds: float) -> CheckResult:
        """Run one check, which `parse_probe_request` found in the site file.

        If nothing arrived in time while this program was blocked, the answer may have arrived and not been read.
        """
        begun = asyncio.get_running_loop().time()
        result = await self._run(look, deadline_seconds)
        if result.reason != "timeout" or self._lag is None:
            return result
        late_seconds = self._lag.worst_seconds(begun)
        if late_seconds < deadline_seconds * _LATE_SHARE:
            return result
        text = f"could not check: this host was too busy ({late_seconds * 1000:.0f} ms late): {result.text}"
        return replace(result, reason="busy", text=text)

    async def _run(self, look: ProbeRequest, deadline_seconds: float) -> CheckResult:
        if look.check == "address":
            return await self._address(look.service or "", deadline_seconds)
        if look.through is not None:
            return await self._through(look, deadline_seconds)
        host_name = look.host or ""
        host_address = self.site.hosts[host_name].address
        if look.check == "ping":
            return await ping(self._pinger, host_address, deadline_seconds)
        if look.check == "process":
            return await self._process(look.service or "", host_name, deadline_seconds)
        return await self._of_service(look, host_address, deadline_seconds)

    async def _address(self, service: str, deadline_seconds: float) -> CheckResult:
        """Check which hosts hold a service's addresses; an unknown MAC address may be another card of a host."""
        result = await address(
            self._neighbours,
            self.site,
            service,
            deadline_seconds,
            this_name=self.this_name,
            owner_of_mac=self._gate_macs.owner,
        )
        names = result.details.get("owner_names")
        if isinstance(names, tuple) and any(str(name).startswith(UNKNOWN_MAC) for name in names):
            self._gate_macs.ask_soon()
        return result

    async def _of_service(self, look: ProbeRequest, address: Address, deadline_seconds: float) -> CheckResult:
        checks = self.site.services[look.service or ""].checks
        if look.check == "http" and checks.http is not None:
            return await http(checks.http, address, deadline_seconds)
        if look.check == "tcp" and checks.tcp is not None:
            return await tcp(checks.tcp, address, deadline_seconds)
        return await ping(self._pinger, address, deadline_seconds)

    async def _through(self, look: ProbeRequest, deadline_seconds: float) -> CheckResult:
        service = look.service or ""
        addresses = [address.ip for address in self.site.services[service].addresses]
        return await through_addresses(
            service, addresses, lambda address: self._of_service(look, address, deadline_seconds)
        )

    async def _process(self, service_name: str, host_name: str, deadline_seconds: float) -> CheckResult:
        gate = self._gates.get(host_name)
        if gate is None:
            text = (
                f"process of {service_name}: could not check: host '{host_name}' has no ssh in the site file"
            )
            return CheckResult("shell", 0.0, text)
        return await process(gate, service_name, deadline_seconds, executor=self._executor)

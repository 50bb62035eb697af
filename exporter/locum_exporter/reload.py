"""Create the runner for a site, and replace it when the site file is reloaded."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from pathlib import Path

from locum_exporter.app import Exporter
from locum_exporter.event_loop_lag import LoopLag
from locum_exporter.gates import open_gates
from locum_exporter.net.icmp import Pinger
from locum_exporter.net.neighbours import Neighbours
from locum_exporter.runner import Runner
from locum_exporter.this_host import find_this_name
from locum_inventory.gate.gates import GateClients
from locum_inventory.site.load import SiteError, load_site
from locum_inventory.site.model import Site

log = logging.getLogger("locum.exporter")

_OLD_SHELLS_SECONDS = 60.0  # checks that began before a reload may need their connections this long


class Runners:
    """Creates runners that share sockets and threads; `host` is this host's name from the command line."""

    def __init__(
        self,
        host: str | None,
        *,
        pinger: Pinger,
        neighbours: Neighbours,
        executor: Executor,
        lag: LoopLag,
    ) -> None:
        self._lag = lag
        self._host = host
        self._pinger = pinger
        self._neighbours = neighbours
        self._executor = executor
        self._gates: list[GateClients] = []
        self._reload: asyncio.Task[None] | None = None

    async def runner_for(self, site: Site) -> Runner:
        """Return a runner for a site. Its gates are new, because keys and addresses may have changed."""
        this_name = self._host or await find_this_name(site)
        if this_name is None:
            log.warning(
                "the site file has no host with an address of this machine: give its name with --host NAME",
                extra={"event": "host_not_known"},
            )
        gates = open_gates(site, this_name)
        for old in self._gates:
            asyncio.get_running_loop().call_later(_OLD_SHELLS_SECONDS, self._close_old, old)
        self._gates.append(gates)
        return Runner(
            site,
            this_name=this_name,
            pinger=self._pinger,
            neighbours=self._neighbours,
            gates=gates,
            executor=self._executor,
            lag=self._lag,
        )

    def start_reload(self, exporter: Exporter, site_file: Path) -> None:
        """Start a reload of the site file; it waits for a reload that is under way."""
        before = self._reload
        self._reload = asyncio.create_task(self._read_again(exporter, site_file, before))

    async def _read_again(
        self, exporter: Exporter, site_file: Path, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            site = await asyncio.to_thread(self._load, site_file)
            exporter.runner = await self.runner_for(site)
        except (SiteError, OSError) as fault:
            log.error(
                "the site file was not reloaded, the previous one stays in use: %s",
                fault,
                extra={"event": "not_reloaded"},
            )
            exporter.own_metrics.reloaded(success=False)
            return
        exporter.own_metrics.reloaded(success=True)
        log.info("reloaded %s", site_file, extra={"event": "reloaded"})

    def _load(self, site_file: Path) -> Site:
        site = load_site(site_file)
        if self._host is not None and self._host not in site.hosts:
            raise SiteError(f"{site_file}: has no host '{self._host}', the name given with --host")
        return site

    def _close_old(self, gates: GateClients) -> None:
        kept = [one for one in self._gates if one is not gates]
        if len(kept) < len(self._gates):
            self._gates = kept
            self._executor.submit(gates.close)

    def close(self) -> None:
        """Close the connections of all gates."""
        for gates in self._gates:
            gates.close()
        self._gates.clear()

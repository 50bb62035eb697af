"""Find out which hosts answer for a service's addresses: on the wire, or by the administrator's command."""

from __future__ import annotations

import asyncio
import logging

from locum_actuator.observation.event_loop_lag import RecentLag
from locum_actuator.system import runtime
from locum_actuator.system.site_commands import CommandError, holder_by_command
from locum_exporter.checks.address import UNKNOWN_MAC
from locum_exporter.checks.address import address as address_check
from locum_exporter.net.neighbours import Neighbours
from locum_inventory.gate.host_macs import HostMacs
from locum_inventory.site.model import Site

log = logging.getLogger(__name__)

OWNERS_SECONDS = 0.3
# Including it, the answer is still fresh enough to act on (plan_evidence.SILENT_SECONDS).
OWNERS_ALLOWANCE_SECONDS = 0.3
OWNERS_SPACING_SECONDS = 0.03  # a neighbour answers in well under a millisecond; asked three times

Owners = tuple[frozenset[str], frozenset[str]]  # hosts that answer for the address, and MACs of no known host


class AddressOwners:
    """The check of a site's service addresses on the wire, with the MAC addresses of hosts that it has learnt."""

    def __init__(self, site: Site, macs: HostMacs, pool: runtime.Executor, recent_lag: RecentLag) -> None:
        """`macs` has the MAC addresses that gates report; they become known while a check runs."""
        self._site = site
        self._macs = macs
        self._pool = pool
        self._recent_lag = recent_lag
        self._neighbours = Neighbours()
        self._names_of_macs: dict[str, str] = {}  # of every host that ever answered

    def close(self) -> None:
        """Close the sockets; called in the event loop."""
        self._neighbours.close()

    async def ask(self, service: str) -> Owners | None:
        """Return which hosts answer for a service's addresses; None if it could not be checked."""
        if self._site.services[service].address_commands is not None:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._ask_command, service)
        local = self._site.actuator.host
        result = await address_check(
            self._neighbours,
            self._site,
            service,
            # If this host was late recently, the answer may be late because of this host.
            OWNERS_SECONDS + min(self._recent_lag.allowance_seconds(), OWNERS_ALLOWANCE_SECONDS),
            this_name=local,
            spacing_seconds=OWNERS_SPACING_SECONDS,
        )
        names, macs = result.details.get("owner_names"), result.details.get("names_of_macs")
        if not isinstance(names, tuple) or not isinstance(macs, dict):
            return None
        self._names_of_macs.update(macs)
        hosts = frozenset(self.host_of(name) for name in names)
        strangers = hosts - self._site.hosts.keys()
        if strangers and not set(self._site.services[service].hosts) <= {*macs.values(), local}:
            return None  # the stranger may be a host whose own address was not answered for
        return hosts - strangers, strangers

    def host_of(self, name: str) -> str:
        """Return the host that has a MAC address, from earlier answers or gate reports; the name itself if none."""
        mac = name.removeprefix(UNKNOWN_MAC)
        return self._names_of_macs.get(mac) or self._macs.owner(mac) or name

    def settled(self, found: Owners | None) -> Owners | None:
        """Return the owners, with MACs resolved that the gates have reported in the meantime."""
        if found is None:
            return None
        hosts, strangers = found
        known = frozenset(self.host_of(name) for name in strangers)
        of_the_site = known & self._site.hosts.keys()
        return hosts | of_the_site, known - of_the_site

    def _ask_command(self, service: str) -> Owners | None:
        values = self._site.services[service]
        try:
            holder = holder_by_command(service, values)
        except CommandError as fault:
            log.warning(
                "it could not be checked which host holds it: %s",
                fault,
                extra={"event": "holder_not_known", "service": service},
            )
            return None
        found = frozenset() if holder is None else frozenset({holder})
        return found & frozenset(values.hosts), found - frozenset(values.hosts)

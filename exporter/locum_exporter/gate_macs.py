"""Find the owner of a MAC address through the gates, if no host uses it for its own address."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Executor

from locum_inventory.gate.host_macs import HostMacs
from locum_inventory.gate.protocol import GateClient

log = logging.getLogger(__name__)

ASK_SECONDS = 2.0
PAUSE_SECONDS = 30.0  # between two rounds of calls: an unknown device may answer for days


class GateMacs:
    """The MAC addresses that gates report. Gates are asked in the background, so that no check waits for them."""

    def __init__(self, gates: Mapping[str, GateClient], executor: Executor | None) -> None:
        self._gates = gates
        self._executor = executor
        self._macs = HostMacs()
        self._asked_at = float("-inf")

    def owner(self, mac: str) -> str | None:
        """Return the host whose gate reported a MAC address."""
        return self._macs.owner(mac)

    def ask_soon(self) -> None:
        """Start asking all gates, unless that was done recently; return at once."""
        if time.monotonic() - self._asked_at < PAUSE_SECONDS:
            return
        self._asked_at = time.monotonic()
        asyncio.get_running_loop().run_in_executor(self._executor, self.ask)

    def ask(self) -> None:
        """Ask all gates now; if one does not answer, the known addresses of its host are kept."""
        for host in self._gates:
            try:
                self._macs.learn(host, self._gates[host].status(deadline_seconds=ASK_SECONDS).macs)
            except Exception as fault:  # for any reason: the address check continues without it
                log.debug(
                    "could not read the MAC addresses of %s from its gate: %s",
                    host,
                    fault,
                    extra={"event": "no_macs", "host": host},
                )

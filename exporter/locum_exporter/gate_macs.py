"""Whose a MAC address is that answered for a service address, asked of the gates when it is no host's own."""

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
PAUSE_SECONDS = 30.0  # between two rounds of questions: a real stranger may answer for days


class GateMacs:
    """The MAC addresses that gates report. They are asked in the background, so that no check waits for them."""

    def __init__(self, gates: Mapping[str, GateClient], executor: Executor | None) -> None:
        self._gates = gates
        self._executor = executor
        self._macs = HostMacs()
        self._asked_at = float("-inf")

    def owner(self, mac: str) -> str | None:
        """Return the host whose gate reported a MAC address."""
        return self._macs.owner(mac)

    def ask_soon(self) -> None:
        """Ask every gate, unless that was done a moment ago; returns at once."""
        if time.monotonic() - self._asked_at < PAUSE_SECONDS:
            return
        self._asked_at = time.monotonic()
        asyncio.get_running_loop().run_in_executor(self._executor, self.ask)

    def ask(self) -> None:
        """Ask every gate now; one that does not answer leaves what is known of its host as it was."""
        for host in self._gates:
            try:
                self._macs.learn(host, self._gates[host].status(deadline_seconds=ASK_SECONDS).macs)
            except Exception as fault:  # whatever hindered it: the address check goes on without
                log.debug(
                    "the gate of %s was not asked for its MACs: %s",
                    host,
                    fault,
                    extra={"event": "no_macs", "host": host},
                )

"""Probe missing hosts every few moments, to detect when they accept SSH connections again.

Asking the gate of a missing host takes seconds. A probe takes one or two packets and does not block.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from locum_actuator.system import runtime
from locum_actuator.system.interface_mac import mac_of
from locum_exporter.net.arp_nd_frames import arp_probe, link_local_of, neighbour_solicitation
from locum_inventory.site.model import Address, Service, Site

log = logging.getLogger(__name__)

GLIMPSE_SECONDS = 0.2  # between two connection attempts; a slower connection is left to the patrol
LISTEN_SECONDS = 0.02  # how often to check for results
SEEN_SECONDS = 5.0  # a detected host whose gate stays silent is not reported again before this


@dataclass(slots=True)
class ReconnectProbe:
    """Probes of one service's hosts, from the actuator's host."""

    site: Site
    interface: str | None  # this host's interface to the others; None: not known
    _begun: dict[str, socket.socket] = field(default_factory=dict)
    _wire: socket.socket | None = None
    _not_before: dict[str, float] = field(default_factory=dict)  # when the next probe may begin

    @classmethod
    def of(cls, site: Site, service: Service) -> ReconnectProbe:
        """Return the probe for a service's hosts."""
        return cls(site, service.interface.get(site.actuator.host))

    def glimpse(self, missing: Iterable[str]) -> frozenset[str]:
        """Return the missing hosts that now accept connections, without blocking.

        To be called every `LISTEN_SECONDS` while a host is missing.
        """
        ways = {host: self.site.hosts[host].ssh for host in missing}
        wanted = {host: ssh.port for host, ssh in ways.items() if ssh is not None}
        for host in self._begun.keys() - wanted.keys():
            self._begun.pop(host).close()
        now, seen = runtime.monotonic(), set[str]()
        for host, port in wanted.items():
            if host in self._begun and (answer := _answer(self._begun[host])) is not None:
                self._begun.pop(host).close()
                if answer:
                    seen.add(host)
                    self._not_before[host] = now + SEEN_SECONDS
            if now >= self._not_before.get(host, 0.0):
                self._not_before[host] = now + GLIMPSE_SECONDS
                self._begin(host, port)
        return frozenset(seen)

    def close(self) -> None:
        """Close all connections."""
        self.glimpse(())
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _begin(self, host: str, port: int) -> None:
        address = self.site.hosts[host].address
        if host in self._begun:
            self._begun.pop(host).close()
        try:
            self._ask_wire(address)
        except OSError as fault:
            if self._wire is not None:
                self._wire.close()  # its interface may have been created again under the same name
                self._wire = None
            log.debug(
                "no neighbour probe to %s: %s",
                host,
                fault,
                extra={"event": "reconnect_probe_failed", "host": host},
            )
        try:
            family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
            self._begun[host] = line = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            with contextlib.suppress(BlockingIOError):
                line.connect((str(address), port))
        except OSError as fault:
            log.debug(
                "no SSH probe to %s: %s", host, fault, extra={"event": "reconnect_probe_failed", "host": host}
            )

    def _ask_wire(self, address: Address) -> None:
        """Request the host's MAC address: the kernel does so only once a second, and delays the connection."""
        if self.interface is None:
            return
        mac = mac_of(self.interface)
        if mac is None:
            return
        question = (
            neighbour_solicitation(mac, link_local_of(mac), address)
            if isinstance(address, IPv6Address)
            else arp_probe(mac, address)
        )
        if self._wire is None:
            # With protocol 0 it only sends, and receives nothing. It is kept open, because closing takes 13 ms.
            self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
            self._wire.bind((self.interface, 0))
        self._wire.send(question)


def _answer(line: socket.socket) -> bool | None:
    """Return whether a connection was accepted; None while there is no result."""
    poll = select.poll()
    poll.register(line, select.POLLOUT)
    if not poll.poll(0):
        return None
    return line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

"""Look out for a host that is missing: a glimpse every few moments, whether it takes connections for SSH again.

To ask its gate means to wait for seconds while it is gone. A glimpse is a packet or two, and waits for nothing.
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

GLIMPSE_SECONDS = 0.2  # between two connections that are begun; one that takes longer is the patrol's to make
LISTEN_SECONDS = 0.02  # how often to look what came of them
SEEN_SECONDS = 5.0  # a host that was seen and whose gate stays silent is no news again before


@dataclass(slots=True)
class ReconnectProbe:
    """Glimpses at the hosts of one service, from the host of the actuator."""

    site: Site
    interface: str | None  # where this host meets the others on the wire; None: not known
    _begun: dict[str, socket.socket] = field(default_factory=dict)
    _wire: socket.socket | None = None
    _not_before: dict[str, float] = field(default_factory=dict)  # when the next one may begin

    @classmethod
    def of(cls, site: Site, service: Service) -> ReconnectProbe:
        """Return the lookout for a service's hosts."""
        return cls(site, service.interface.get(site.actuator.host))

    def glimpse(self, missing: Iterable[str]) -> frozenset[str]:
        """Return those missing hosts that have come to take connections; blocks for nothing.

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
        """Give up what was begun."""
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
                self._wire.close()  # its interface may have been made again under the same name
                self._wire = None
            log.debug(
                "no question of %s: %s", host, fault, extra={"event": "reconnect_probe_failed", "host": host}
            )
        try:
            family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
            self._begun[host] = line = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            with contextlib.suppress(BlockingIOError):
                line.connect((str(address), port))
        except OSError as fault:
            log.debug(
                "no glimpse of %s: %s", host, fault, extra={"event": "reconnect_probe_failed", "host": host}
            )

    def _ask_wire(self, address: Address) -> None:
        """Ask for the host's MAC address. The kernel asks only once a second, and keeps the connection waiting."""
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
            # Of no protocol: it sends, and hears nothing that had to be read. Kept, for to close one takes 13 ms.
            self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
            self._wire.bind((self.interface, 0))
        self._wire.send(question)


def _answer(line: socket.socket) -> bool | None:
    """Tell whether a connection was taken; None while nothing came."""
    poll = select.poll()
    poll.register(line, select.POLLOUT)
    if not poll.poll(0):
        return None
    return line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

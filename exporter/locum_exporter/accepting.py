"""Accepting connections: so many and so often for each other user, and Prometheus finds room whatever they do.

asyncio's own servers take in all who come. Each connection costs a descriptor, and each byte over it a turn of the
event loop; the checks need both.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from locum_inventory.socket_user import tcp_peer
from locum_inventory.token_bucket import ClientRates, TokenBucket

log = logging.getLogger("locum.exporter")

MOST = 1024  # connections of others: a Prometheus of another user has one for each check that runs
DESCRIPTORS_SHARE = 0.5  # and no more than this of the descriptors: the checks need theirs
BURST, PER_SECOND = 512.0, 32.0  # new connections of one user of this machine
# A flood of new connections waits in the kernel, and does not take the event loop from the checks. Who comes too
# often is accepted and closed at once, so that others do not wait behind him.
ACCEPTS_AT_ONCE, ACCEPTS_PER_SECOND = 200.0, 2000.0
BACKLOG = 1024
NO_DESCRIPTOR_SECONDS = 0.05


@dataclass(eq=False, slots=True)
class _Open:
    client: str
    transport: asyncio.Transport
    asked_at: float = 0.0  # monotonic: when a request over it was answered last


class Accepting:
    """Accepts connections for a server; `protocol` makes what handles one. For one event loop alone.

    Those of root and of the user this runs as are not counted.
    """

    def __init__(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._protocol = protocol
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = max(1, min(MOST, int(descriptors * DESCRIPTORS_SHARE)))
        self._others: dict[asyncio.BaseTransport, _Open] = {}  # the oldest first
        self._rates = ClientRates(BURST, PER_SECOND)

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a request over a connection is answered: those over which nothing is asked make room first."""
        if transport is not None and transport in self._others:
            self._others[transport].asked_at = time.monotonic()

    async def run(self, listening: socket.socket) -> None:
        """Accept on a socket until cancelled."""
        listening.setblocking(False)
        listening.listen(BACKLOG)
        loop, tokens = asyncio.get_running_loop(), TokenBucket(ACCEPTS_AT_ONCE, ACCEPTS_PER_SECOND)
        while True:
            try:
                sock, _ = await loop.sock_accept(listening)
            except OSError as fault:  # no descriptors left, or the client has gone
                log.debug("not accepted: %s", fault, extra={"event": "not_accepted"})
                await asyncio.sleep(NO_DESCRIPTOR_SECONDS)
                continue
            await self._take(sock)
            await asyncio.sleep(max(0.0, -tokens.take(time.monotonic()) / ACCEPTS_PER_SECOND))

    async def _take(self, sock: socket.socket) -> None:
        """Hand one to the server, or close it where its user comes too often."""
        client, uid = _client_of(sock)
        is_ours = uid in {0, os.geteuid()}
        if uid is not None and not is_ours and not self._rates.allows(client, time.monotonic()):
            sock.close()
            return
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(self._protocol, sock)
        except OSError as fault:
            sock.close()
            log.debug("not accepted: %s", fault, extra={"event": "not_accepted"})
            return
        if not is_ours:
            self._make_room()
            self._others[transport] = _Open(client, transport)

    def _make_room(self) -> None:
        """End a connection of the client that has most, if there are too many: that of the oldest request."""
        if len(self._others) < self._most:
            return
        self._others = {
            transport: one for transport, one in self._others.items() if not transport.is_closing()
        }
        if len(self._others) >= self._most:
            count = Counter(one.client for one in self._others.values())
            idle = min(self._others.values(), key=lambda one: (-count[one.client], one.asked_at))
            idle.transport.abort()
            del self._others[idle.transport]


def _client_of(sock: socket.socket) -> tuple[str, int | None]:
    """Return who is at the other end: an address, or a user of this machine, with his number; raises nothing."""
    try:
        address, uid = tcp_peer(sock)
    except (OSError, ValueError, struct.error):
        return "unknown", None
    return (address, None) if uid is None else (f"uid {uid}", uid)

"""Accept connections, with a limit on number and rate per user, so that Prometheus can always connect.

asyncio's own servers accept every connection. Each connection costs a descriptor, and each byte over it a turn of
the event loop; the checks need both.
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

MOST = 1024  # connections of other users: another user's Prometheus has one per running check
DESCRIPTORS_SHARE = 0.5  # and at most this share of the descriptors: the checks need the rest
BURST, PER_SECOND = 512.0, 32.0  # new connections of one user of this machine
# A flood of new connections waits in the kernel and does not keep the event loop from the checks. A connection of a
# user above the rate limit is accepted and closed at once, so that others do not wait behind it.
ACCEPTS_AT_ONCE, ACCEPTS_PER_SECOND = 200.0, 2000.0
BACKLOG = 1024
NO_DESCRIPTOR_SECONDS = 0.05


@dataclass(eq=False, slots=True)
class _Open:
    client: str
    transport: asyncio.Transport
    asked_at: float = 0.0  # monotonic time of the last answered request


class Accepting:
    """Accepts connections for a server, in one event loop; `protocol` creates the handler of a connection.

    Connections of root and of this program's own user are not limited.
    """

    def __init__(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._protocol = protocol
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = max(1, min(MOST, int(descriptors * DESCRIPTORS_SHARE)))
        self._others: dict[asyncio.BaseTransport, _Open] = {}  # oldest first
        self._rates = ClientRates(BURST, PER_SECOND)

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """Record that a request over a connection was answered; idle connections are closed first to make room."""
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
            except OSError as fault:  # no descriptors left, or the client has disconnected
                log.debug("connection not accepted: %s", fault, extra={"event": "not_accepted"})
                await asyncio.sleep(NO_DESCRIPTOR_SECONDS)
                continue
            await self._take(sock)
            await asyncio.sleep(max(0.0, -tokens.take(time.monotonic()) / ACCEPTS_PER_SECOND))

    async def _take(self, sock: socket.socket) -> None:
        """Hand a connection to the server, or close it if its user exceeds the rate limit."""
        client, uid = _client_of(sock)
        is_ours = uid in {0, os.geteuid()}
        if uid is not None and not is_ours and not self._rates.allows(client, time.monotonic()):
            sock.close()
            return
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(self._protocol, sock)
        except OSError as fault:
            sock.close()
            log.debug("connection not accepted: %s", fault, extra={"event": "not_accepted"})
            return
        if not is_ours:
            self._make_room()
            self._others[transport] = _Open(client, transport)

    def _make_room(self) -> None:
        """If there are too many connections, close the longest idle one of the client that has the most."""
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
    """Return the peer: its address, or a local user with the user id. Raises nothing."""
    try:
        address, uid = tcp_peer(sock)
    except (OSError, ValueError, struct.error):
        return "unknown", None
    return (address, None) if uid is None else (f"uid {uid}", uid)

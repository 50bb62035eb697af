"""One ICMP socket for many targets: raw if allowed, else the kernel's unprivileged echo socket."""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
import struct
from collections.abc import Iterator

from icmplib import ICMPRequest, ICMPv4Socket, ICMPv6Socket
from icmplib.exceptions import ICMPSocketError, SocketPermissionError

from locum_exporter.net.icmp_messages import (
    ECHO_REPLY,
    TIME_EXCEEDED,
    UNREACHABLE,
    Family,
    Message,
    parse,
)
from locum_exporter.net.os_errors import ExplainedError
from locum_inventory.site.model import Address

# Linux constants that the socket module does not have: include/uapi/linux/icmp.h and icmpv6.h.
_SOL_RAW, _ICMP_FILTER = 255, 1
_ICMPV6_FILTER = 1
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32

_BUFFER_BYTES = 4 * 1024 * 1024
_DATAGRAM_BYTES = 2048
_TTL = 64


class EchoSocket:
    """Sends echo requests and receives the replies, for one IP version.

    Opening raises OSError: EPERM where the process may open neither kind of socket, EADDRNOTAVAIL where
    `source` is not an address of this host.
    """

    def __init__(self, family: Family, source: Address | None = None) -> None:
        self.family = family
        self._socket, self.is_raw = _open(family, source)
        self._inner: socket.socket = self._socket.sock
        self._inner.setblocking(False)
        _enlarge_buffers(self._inner)
        if self.is_raw:
            self._identifier = secrets.randbelow(0x10000)
            _hear_only(self._inner, family)
        else:
            # The kernel sets its own id in every request and delivers only the replies to it.
            if source is None:
                self._inner.bind(("" if family == 4 else "::", 0))
            self._identifier = self._inner.getsockname()[1]

    def fileno(self) -> int:
        """Return the descriptor, for an event loop to wait on."""
        return self._inner.fileno()

    def send(self, target: Address, sequence: int, payload: bytes) -> None:
        """Send one echo request, or raise the kernel's OSError."""
        request = ICMPRequest(str(target), self._identifier, sequence, payload=payload, ttl=_TTL)
        try:
            self._socket.send(request)
        except ICMPSocketError as error:
            raise _kernel_error(error) from error

    def receive(self) -> Iterator[tuple[bytes, Message]]:
        """Yield the messages that have arrived for this socket's requests: (packed sender, message)."""
        with_ip_header = self.is_raw and self.family == 4
        while True:
            try:
                packet, sender = self._inner.recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                # A pending error of an earlier request; that request ends at its deadline.
                continue
            message = parse(self.family, packet, with_ip_header=with_ip_header)
            if message is not None and message.identifier == self._identifier:
                yield _packed(self.family, sender[0]), message

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _open(family: Family, source: Address | None) -> tuple[ICMPv4Socket | ICMPv6Socket, bool]:
    kind = ICMPv4Socket if family == 4 else ICMPv6Socket
    address = None if source is None else str(source)
    for privileged in (True, False):
        try:
            return kind(address=address, privileged=privileged), privileged
        except SocketPermissionError:
            continue
        except ICMPSocketError as error:
            raise _kernel_error(error) from error
    raise ExplainedError(
        errno.EPERM,
        "needs CAP_NET_RAW, or this group within net.ipv4.ping_group_range, to send echo requests",
    )


def _kernel_error(error: ICMPSocketError) -> OSError:
    """Return the OSError that icmplib wrapped, because its errno gives the reason."""
    cause = error.__context__
    return cause if isinstance(cause, OSError) else OSError(str(error))


def _enlarge_buffers(inner: socket.socket) -> None:
    """Enlarge the receive buffer to a thousand replies; the default drops packets after about 250."""
    for forced, plain in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            inner.setsockopt(socket.SOL_SOCKET, forced, _BUFFER_BYTES)
        except PermissionError:
            inner.setsockopt(socket.SOL_SOCKET, plain, _BUFFER_BYTES)


def _hear_only(inner: socket.socket, family: Family) -> None:
    """Let the kernel drop all types except replies and errors, so that other traffic causes no wake-ups."""
    wanted = (ECHO_REPLY[family], UNREACHABLE[family], TIME_EXCEEDED[family])
    with contextlib.suppress(OSError):  # the filter only saves time
        if family == 4:
            blocked = 0xFFFFFFFF & ~sum(1 << kind for kind in wanted)
            inner.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", blocked))
        else:
            words = [0xFFFFFFFF] * 8
            for kind in wanted:
                words[kind >> 5] &= ~(1 << (kind & 31))
            inner.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, struct.pack("=8I", *words))


def _packed(family: Family, text: str) -> bytes:
    if family == 4:
        return socket.inet_aton(text)
    return socket.inet_pton(socket.AF_INET6, text.partition("%")[0])

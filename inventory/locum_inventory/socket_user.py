"""Find the user of this machine at the other end of a TCP connection, from the kernel: sock_diag(7)."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from ipaddress import ip_address

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _REQUEST = 4, 20, 1
_REQUEST_HEAD = struct.Struct("=IHHII")
_NO_COOKIE = 0xFFFFFFFF
_ALL_STATES = 0xFFFFFFFF
_OWNER = struct.Struct("=II")  # user and inode
# After nlmsghdr, four bytes, the socket's id, and three counters of inet_diag_msg.
_OWNER_AT = 16 + 4 + 48 + 12
_ANSWER_SECONDS = 0.2


def tcp_peer(sock: socket.socket) -> tuple[str, int | None]:
    """Return the peer address of an accepted connection, and for loopback its user id.

    The user is None if the kernel does not report one, for example because the peer has closed meanwhile. Raises
    `OSError`, `ValueError` and `struct.error`.
    """
    there, here = sock.getpeername()[:2], sock.getsockname()[:2]
    uid = _tcp_uid(there, here) if ip_address(there[0].partition("%")[0]).is_loopback else None
    return there[0], uid


def _tcp_uid(there: tuple[str, int], here: tuple[str, int]) -> int | None:
    """Return the owner of the socket at `there` of a connection to `here`, both on this machine."""
    family = socket.AF_INET6 if ":" in there[0] else socket.AF_INET
    source, target = (
        socket.inet_pton(family, end[0].partition("%")[0]).ljust(16, b"\0") for end in (there, here)
    )
    asked = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + struct.pack(
        "!HH16s16s", there[1], here[1], source, target
    )
    asked += struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    head = _REQUEST_HEAD.pack(_REQUEST_HEAD.size + len(asked), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0)
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
    ) as kernel:
        kernel.settimeout(_ANSWER_SECONDS)
        kernel.send(head + asked)
        with suppress(OSError):
            answer = kernel.recv(4096)
            if _REQUEST_HEAD.unpack_from(answer)[1] == _SOCK_DIAG_BY_FAMILY:
                uid, inode = _OWNER.unpack_from(answer, _OWNER_AT)
                # For a socket that its owner has closed the kernel reports user 0, whichever user it was.
                return int(uid) if inode else None
    return None  # it was closed meanwhile

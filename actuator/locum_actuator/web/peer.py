"""Identify the client of a connection: a user of this machine, as the kernel reports it, or an address.

On loopback every client has the same address, so limits per client have to use the user. The kernel reports the
user of a Unix socket's peer (SO_PEERCRED, unix(7)) and the user who created a TCP socket (sock_diag(7)).
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

from locum_inventory.socket_user import tcp_peer


@dataclass(frozen=True, slots=True)
class Peer:
    """A client. `name` is the same for all connections of one client; `is_ours`: root, or the user we run as."""

    name: str
    is_ours: bool = False

    @classmethod
    def of_user(cls, uid: int) -> Peer:
        """Return a user of this machine."""
        return cls(f"uid {uid}", uid in {0, os.geteuid()})


def peer_of(sock: socket.socket) -> Peer:
    """Return the client of an accepted connection; raises nothing."""
    try:
        if sock.family == socket.AF_UNIX:
            return Peer.of_user(unix_uid(sock))
        address, uid = tcp_peer(sock)
    except (OSError, ValueError, struct.error):
        return Peer("unknown")
    return Peer(address) if uid is None else Peer.of_user(uid)


def unix_uid(sock: socket.socket) -> int:
    """Return the user at the other end of a Unix socket; for a client, the user who called listen(2)."""
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)

"""Open listening sockets, so that a failure keeps its reason: asyncio drops it from Python 3.13 on."""

from __future__ import annotations

import errno
import socket

from locum_inventory.listen import Listen

_NOT_HERE = {
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
}  # localhost has two addresses, and a host may not have both


def listening_sockets(where: Listen) -> list[socket.socket]:
    """Return a listening socket for each address of a host and port.

    An address that this machine does not have is skipped if there is another. Raises OSError with its errno.
    """
    found = socket.getaddrinfo(
        where.host or None, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    opened: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in sorted({(family, address) for family, _, _, _, address in found}, key=str):
            try:
                opened.append(socket.create_server(address, family=family))
            except OSError as fault:
                if fault.errno not in _NOT_HERE:
                    raise
                missing = fault
    except BaseException:
        for one in opened:
            one.close()
        raise
    if missing is not None and not opened:
        raise missing
    return opened

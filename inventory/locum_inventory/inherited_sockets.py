"""Listening sockets that a program inherits from the one that started it: systemd, or `locum up`.

Whoever holds a port while the program itself is restarted keeps other users of the machine from listening on it.
systemd hands its sockets over from descriptor 3 on (sd_listen_fds(3)); `locum up` names the descriptors.
"""

from __future__ import annotations

import os
import socket

NAMED = "LOCUM_LISTEN_FDS"  # "7,8"
_FIRST_OF_SYSTEMD = 3


def inherited_sockets() -> dict[tuple[str, int], socket.socket]:
    """Return the TCP sockets that were handed to this program, by their addresses. Call it once, at the start."""
    named = os.environ.pop(NAMED, "")
    descriptors = [int(word) for word in named.split(",") if word]
    if os.environ.pop("LISTEN_PID", "") == str(os.getpid()):
        count = int(os.environ.pop("LISTEN_FDS", "0"))
        descriptors += range(_FIRST_OF_SYSTEMD, _FIRST_OF_SYSTEMD + count)
    found = {}
    for descriptor in descriptors:
        sock = socket.socket(fileno=descriptor)
        sock.set_inheritable(False)  # what we start is to have none of it
        where = sock.getsockname()
        if isinstance(where, tuple):
            found[where[0], where[1]] = sock
        else:
            sock.close()
    return found

"""Listening sockets that a program inherits from its parent: systemd, or `locum up`.

The parent holds the port while the program is restarted, so that other users of the machine cannot listen on it.
systemd passes its sockets from descriptor 3 on (sd_listen_fds(3)); `locum up` names the descriptors.
"""

from __future__ import annotations

import os
import socket

NAMED = "LOCUM_LISTEN_FDS"  # "7,8"
_FIRST_OF_SYSTEMD = 3


def inherited_sockets() -> dict[tuple[str, int], socket.socket]:
    """Return the TCP sockets passed to this program, by address. Call it once, at the start."""
    named = os.environ.pop(NAMED, "")
    descriptors = [int(word) for word in named.split(",") if word]
    if os.environ.pop("LISTEN_PID", "") == str(os.getpid()):
        count = int(os.environ.pop("LISTEN_FDS", "0"))
        descriptors += range(_FIRST_OF_SYSTEMD, _FIRST_OF_SYSTEMD + count)
    found = {}
    for descriptor in descriptors:
        sock = socket.socket(fileno=descriptor)
        sock.set_inheritable(False)  # child processes must not inherit it
        where = sock.getsockname()
        if isinstance(where, tuple):
            found[where[0], where[1]] = sock
        else:
            sock.close()
    return found

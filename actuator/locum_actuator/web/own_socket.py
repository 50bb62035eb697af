"""Connect to the actuator over its Unix socket, and verify with the kernel which user listens on it.

While the actuator is down, any user of the machine can bind its port and would receive the token. The Unix socket
is in the state directory, which other users cannot write, and the kernel reports its owner before anything is sent.
"""

from __future__ import annotations

import http.client
import os
import socket
import stat
from pathlib import Path

from locum_actuator.web.peer import unix_uid
from locum_inventory.errors import LocumError

SOCKET = "actuator.sock"  # in the state directory


class NotTheActuatorError(LocumError, OSError):
    """Another program listens on the socket, or another user could replace it."""


class OwnSocket(http.client.HTTPConnection):
    """An HTTP connection to the actuator with this state directory. Connecting raises `OSError`."""

    def __init__(self, state_directory: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._directory = state_directory

    def connect(self) -> None:
        """Connect, and verify that it is the actuator; http.client calls this."""
        opened = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            where = os.fstat(opened)
            if where.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
                raise NotTheActuatorError(
                    f"other users may write to {self._directory}: chmod 700 {self._directory}"
                )
            sock.settimeout(self.timeout)
            # A name in /proc is short, however long the path is, and always refers to this one directory.
            sock.connect(f"/proc/self/fd/{opened}/{SOCKET}")
            if (uid := unix_uid(sock)) not in {0, where.st_uid}:
                raise NotTheActuatorError(
                    f"{self._directory / SOCKET}: user {uid} listens on it, who does not own that directory"
                )
        except OSError:
            sock.close()
            raise
        finally:
            os.close(opened)
        self.sock = sock

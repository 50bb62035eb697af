"""The actuator over its Unix socket: a name that nobody else can take, and a peer that the kernel vouches for.

A port can be bound by any user of the machine while the actuator is down, who would then be shown the token. The
socket lies in the state directory, and before anything is sent the kernel is asked who listens on it.
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
    """Something else listens on the socket, or others could put something there."""


class OwnSocket(http.client.HTTPConnection):
    """An HTTP connection to the actuator with this state directory. Connecting raises `OSError`."""

    def __init__(self, state_directory: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._directory = state_directory

    def connect(self) -> None:
        """Connect, and see that it is the actuator; http.client calls this."""
        opened = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            where = os.fstat(opened)
            if where.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
                raise NotTheActuatorError(
                    f"{self._directory} may be written by others: chmod 700 {self._directory}"
                )
            sock.settimeout(self.timeout)
            # A name in /proc is short, however deep the directory lies, and this one directory whatever happens.
            sock.connect(f"/proc/self/fd/{opened}/{SOCKET}")
            if (uid := unix_uid(sock)) not in {0, where.st_uid}:
                raise NotTheActuatorError(
                    f"{self._directory / SOCKET}: user {uid} listens there, who is not the owner of that directory"
                )
        except OSError:
            sock.close()
            raise
        finally:
            os.close(opened)
        self.sock = sock

"""Notify the service manager of this program's state: sd_notify(3), in a datagram.

Without a service manager (no NOTIFY_SOCKET in the environment) nothing is sent, which is not an error.
"""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger(__name__)

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def tell(state: str) -> None:
    """Send one state. If the service manager does not receive it, log a warning and go on."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace, unix(7)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.setblocking(False)
            line.sendto(state.encode(), address)
    except OSError as fault:
        log.warning(
            "could not send %s to the service manager: %s",
            state,
            fault.strerror,
            extra={"event": "sd_notify_failed"},
        )


def tell_alive_every_seconds() -> float | None:
    """Return the interval of WATCHDOG=1 messages, a third of WatchdogSec; None if none are expected."""
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
        meant = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return microseconds / 1e6 / 3 if microseconds > 0 and meant == os.getpid() else None

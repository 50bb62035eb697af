"""Tell the service manager that started us how we are: sd_notify(3), in a datagram.

Without one (no NOTIFY_SOCKET in the environment) nothing is said, and that is no fault.
"""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger(__name__)

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def tell(state: str) -> None:
    """Send one state. A service manager that does not listen is no reason to stop working."""
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
            "the service manager could not be told %s: %s",
            state,
            fault.strerror,
            extra={"event": "sd_notify_failed"},
        )


def tell_alive_every_seconds() -> float | None:
    """Return how often to say that we are alive: a third of WatchdogSec; None where nobody waits for it."""
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
        meant = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return microseconds / 1e6 / 3 if microseconds > 0 and meant == os.getpid() else None

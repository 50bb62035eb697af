"""The actuator's listeners: API and page on TCP, the same on a Unix socket for `locum`, and the webhook.

They do not delay each other: each has its own event loop and connections, and the webhook its own threads.
docs/security.md lists who may do what on each.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from locum_actuator.api.webhook import MAX_BODY_BYTES
from locum_actuator.web.lanes import Lane
from locum_actuator.web.listener import Bounds, Listener
from locum_actuator.web.own_socket import SOCKET
from locum_actuator.web.wsgi import Application
from locum_inventory.errors import LocumError
from locum_inventory.file_descriptors import raise_limit

API_CONNECTIONS, COMMAND_CONNECTIONS, WEBHOOK_CONNECTIONS = 256, 64, 64
OUR_THREADS, STRANGERS_THREADS, WEBHOOK_THREADS = 6, 4, 2
STRANGERS_SHARE = 0.3  # of a processor, for all requests of users without a token


class NotBoundError(LocumError):
    """The actuator cannot listen on an address or on its socket; the text has the reason."""


class Front:
    """The listeners of one actuator. Raises `NotBoundError`."""

    def __init__(
        self,
        api: Application,
        webhook: Application,
        knows: Callable[[str], bool],
        *,
        api_at: tuple[str, int],
        webhook_at: tuple[str, int],
        state_directory: Path,
        tls: ssl.SSLContext,
        inherited: Mapping[tuple[str, int], socket.socket] | None = None,
    ) -> None:
        """`knows` returns whether an Authorization header contains one of the site's tokens.

        `inherited` has the listening sockets that systemd or `locum up` passed to us.
        """
        held, sockets = dict(inherited or {}), []
        what = ""
        try:
            for where in (api_at, webhook_at):
                what = f"cannot listen on {where[0]}:{where[1]}"
                sockets.append(held.pop(where) if where in held else tcp_socket(*where))
            what = f"cannot create {state_directory / SOCKET}"
            sockets.append(unix_socket(state_directory))
        except OSError as fault:
            for sock in sockets:
                sock.close()
            raise NotBoundError(f"{what}: {fault.strerror}") from fault
        raise_limit()
        ours, strangers = Lane("ours", OUR_THREADS), Lane("others", STRANGERS_THREADS, STRANGERS_SHARE)
        alerts = Lane("webhook", WEBHOOK_THREADS)
        self._lanes = (ours, strangers, alerts)
        of_api, of_webhook, of_command = sockets
        self.api = Listener(
            "api", of_api, api, Bounds(API_CONNECTIONS, MAX_BODY_BYTES, knows), ours=ours, strangers=strangers
        )
        self.command = Listener(
            "command", of_command, api, Bounds(COMMAND_CONNECTIONS, MAX_BODY_BYTES, knows),
            ours=ours, strangers=strangers,
        )  # fmt: skip
        self.webhook = Listener(
            "webhook", of_webhook, webhook, Bounds(WEBHOOK_CONNECTIONS, MAX_BODY_BYTES, knows),
            ours=alerts, strangers=strangers, tls=tls,
        )  # fmt: skip
        self.listeners = (self.api, self.command, self.webhook)

    def close(self) -> None:
        """Close all listeners. Any thread may call it."""
        for listener in self.listeners:
            listener.close()
        for lane in self._lanes:
            lane.close()


def tcp_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; port 0 is a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(1)
    except OSError:
        sock.close()
        raise
    return sock


def unix_socket(directory: Path) -> socket.socket:
    """Return a socket bound to a name in a directory, accessible to its owner and root only."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # A name in /proc is short, however long the path is: unix(7) allows 107 bytes.
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    umask = os.umask(0o177)
    try:
        with suppress(FileNotFoundError):
            os.unlink(SOCKET, dir_fd=opened)
        sock.bind(f"/proc/self/fd/{opened}/{SOCKET}")
        sock.listen(1)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(umask)
        os.close(opened)
    return sock

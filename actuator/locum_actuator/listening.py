"""The HTTP server of the actuator, made so that silent, slow and greedy clients cost it little."""

from __future__ import annotations

from flask import Flask
from waitress.server import BaseWSGIServer, MultiSocketServer, create_server

from locum_actuator.webhook import MAX_BODY_BYTES

THREADS = 8
CONNECTIONS = 400
SILENT_SECONDS = 20  # a connection on which nothing moves is closed after this
CLEANUP_SECONDS = 5


def listen_on(app: Flask, host: str, port: int) -> BaseWSGIServer | MultiSocketServer:
    """Return a server that listens on one address. Raises `OSError`."""
    return create_server(
        app,
        host=host,
        port=port,
        threads=THREADS,
        ident=None,
        clear_untrusted_proxy_headers=True,
        # Judged before the body is read: the server would keep a gigabyte of it on disk, from anybody.
        max_request_body_size=MAX_BODY_BYTES,
        connection_limit=CONNECTIONS,
        channel_timeout=SILENT_SECONDS,
        cleanup_interval=CLEANUP_SECONDS,
        asyncore_use_poll=True,  # select(2) fails for descriptors above 1023
    )

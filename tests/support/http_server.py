"""HTTP servers that run in a thread while a test asks them: plain ones, and the actuator's."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flask import Flask

from locum_actuator.api.webhook import MAX_BODY_BYTES
from locum_actuator.app import create_app
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.listeners import tcp_socket
from locum_actuator.web.lanes import Lane
from locum_actuator.web.listener import Bounds, Listener
from locum_inventory.listen import Listen

API_TOKEN = "an-api-token-of-some-length"
AUTH = {"Authorization": f"Bearer {API_TOKEN}"}


class QuietHandler(BaseHTTPRequestHandler):
    """A handler whose requests do not show in the output of the tests; `get` and `post` are to be overridden."""

    def get(self) -> None:
        """Answer a GET."""
        self.answer(status=405)

    def post(self, body: bytes) -> None:
        """Answer a POST."""
        self.answer(status=405)

    def do_GET(self) -> None:
        """Answer a GET."""
        self.get()

    def do_POST(self) -> None:
        """Read the body and answer."""
        self.post(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""

    def answer(self, body: str | bytes = b"", status: int = 200, kind: str = "text/plain") -> None:
        """Send an answer with its length, so that a connection can be kept open."""
        raw = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


class HealthyHandler(QuietHandler):
    """A program of locum that is healthy."""

    def get(self) -> None:
        """Answer at /-/healthy alone."""
        self.answer(status=200 if self.path == "/-/healthy" else 404)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, listen: Listen, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None
    ) -> None:
        super().__init__((listen.host, listen.port), handler)
        if tls is not None:
            # Each connection shakes hands in its own thread, so that a silent client delays no other.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when a client no longer waits for its answer."""


@contextmanager
def http_server(
    handler: type[BaseHTTPRequestHandler],
    listen: Listen = Listen("127.0.0.1", 0),  # noqa: B008 - frozen
    tls: ssl.SSLContext | None = None,
) -> Iterator[Listen]:
    """Serve with a handler, by default on any port of loopback; yield where it listens."""
    with _Server(listen, handler, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield Listen(listen.host, server.server_port)
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(
    application: Any,
    *,
    sock: socket.socket | None = None,
    bounds: Bounds | None = None,
    lanes: tuple[Lane, Lane] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Listener]:
    """Serve an application as the actuator does, by default on any port of loopback."""
    ours, strangers = lanes or (Lane("ours", 2), Lane("others", 2))
    listener = Listener(
        "test", sock or tcp_socket("127.0.0.1", 0), application, bounds or Bounds(256, MAX_BODY_BYTES),
        ours=ours, strangers=strangers, tls=tls,
    )  # fmt: skip
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        yield listener
    finally:
        listener.close()
        thread.join(60)
        for lane in (ours, strangers):
            lane.close()
            lane.join(60)
        assert not thread.is_alive()


def api_app(engine: Engine) -> Flask:
    """Return an actuator's application, whose API takes `API_TOKEN`."""
    return create_app(engine, "a-webhook-token", API_TOKEN, ReloadResult)


@contextmanager
def served_api(engine: Engine) -> Iterator[str]:
    """Serve an actuator's API, and yield its address."""
    with serving(api_app(engine)) as listener:
        yield f"http://127.0.0.1:{listener.address[1]}"

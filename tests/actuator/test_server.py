"""The actuator as a process: what it starts with, what it refuses, and clients that mean no good."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from locum_actuator.app import MAX_BODY_BYTES
from locum_actuator.system.instance_lock import AlreadyRunningError, acquire_instance_lock
from tests.support.http_server import serving


@pytest.fixture
def port() -> Iterator[int]:
    """A server with one page, on a free port."""
    app = Flask(__name__)
    app.add_url_rule("/", "page", lambda: "here")
    app.add_url_rule("/webhook", "webhook", lambda: "read", methods=["POST"])
    with serving(app) as listener:
        yield listener.address[1]


def get(port: int) -> tuple[int, float]:
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/")
    status = connection.getresponse().status
    connection.close()
    return status, time.monotonic() - begun


@pytest.mark.timed
@pytest.mark.parametrize(
    "said",
    [b"", b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["silent", "half-sent"],
)
def test_two_hundred_slow_clients_stop_nobody(port: int, said: bytes) -> None:
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    try:
        for sock in slow:
            sock.sendall(said)
        status, seconds = get(port)
    finally:
        for sock in slow:
            sock.close()
    assert status == 200
    assert seconds < 2


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(
            f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
        )
        assert sock.recv(100).startswith(b"HTTP/1.1 413 ")


def test_one_actuator_a_state_directory(tmp_path: Path) -> None:
    first = acquire_instance_lock(tmp_path / "state")
    with pytest.raises(AlreadyRunningError) as caught:
        acquire_instance_lock(tmp_path / "state")
    assert str(caught.value) == f"{tmp_path}/state: another actuator runs with this state directory"
    first.close()
    acquire_instance_lock(tmp_path / "state").close()

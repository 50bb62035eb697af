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
from locum_actuator.server import StartError, parse_listen, read_token
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


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [
        (
            None,
            0o600,
            "No such file or directory; create one: (umask 077; head -c 32 /dev/urandom | base64 > PATH)",
        ),
        (
            b"\xff\xfe" * 20,
            0o600,
            "is not text; create another one: (umask 077; head -c 32 /dev/urandom | base64 > PATH)",
        ),
        (b"short", 0o600, "contains 5 characters; a token has at least 16"),
        (b"a-token-of-some-length", 0o644, "other users may read or change it; chmod 600 PATH"),
        (b"a-token-of-some-length", 0o620, "other users may read or change it; chmod 600 PATH"),
    ],
    ids=["none", "binary", "short", "others may read", "the group may write"],
)
def test_a_token_that_is_none(tmp_path: Path, content: bytes | None, mode: int, fault: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(StartError) as caught:
        read_token(path)
    assert str(caught.value) == f"{path}: {fault}".replace("PATH", str(path))


@pytest.mark.parametrize("text", ["127.0.0.1:10752", "[::1]:10752", "localhost:1"])
def test_where_it_listens(text: str) -> None:
    assert str(parse_listen(text)) == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("10752", "--listen: '10752' is not HOST:PORT, as in 127.0.0.1:9090"),
        ("127.0.0.1:0", "--listen: '127.0.0.1:0' is not HOST:PORT, as in 127.0.0.1:9090"),
        ("::1:10752", "--listen: '::1:10752': write an IPv6 address in brackets, as in [::1]:10752"),
        (":10752", "--listen :10752: the actuator listens on loopback only"),
        (
            "192.0.2.2:10752",
            "--listen 192.0.2.2:10752: the actuator listens on loopback only",
        ),
    ],
)
def test_where_it_does_not_listen(text: str, fault: str) -> None:
    with pytest.raises(StartError) as caught:
        parse_listen(text)
    assert str(caught.value) == fault

"""TCP ports for tests that run in parallel, with other tests and with other programs of this machine."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

# Below the range from which the kernel takes ports for outgoing connections and for servers that ask for any port
# (32768-60999): a port of that range may be in use by the time that the test's own program listens on it.
_FIRST, _COUNT = 20_000, 12_000
_returned: set[int] = set()


def unused_port(host: str = "127.0.0.1") -> int:
    """Return a port on which nothing listens, for a program that the test starts."""
    while True:
        port = _FIRST + secrets.randbelow(
            _COUNT
        )  # not `random`, which hypothesis seeds alike in every process
        with _socket(host) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port


@contextmanager
def closed_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that refuses connections: bound and not listening, so that nothing else takes it."""
    with _socket(host) as held:
        held.bind((host, 0))
        yield held.getsockname()[1]


def _is_unused(host: str, port: int) -> bool:
    with _socket(host) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)

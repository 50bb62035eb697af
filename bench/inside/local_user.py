"""A local user who holds many connections to every socket that he can reach and sends each a byte a second.

local_user.py CONNECTIONS SOCKET…: so many to each SOCKET, http:PORT or tls:PORT on loopback, or unix:PATH. Prints
`dripping` once they are open, or as many as the servers take. When its input ends it prints a line of JSON, for
each socket how many connections were open at once at most, and the last reason why one was not opened; and ends.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys

PAUSE_SECONDS = 1.0
CONNECT_SECONDS = 0.2
HTTP = b"GET /api/v1/services HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
# A record of 512 bytes with the head of a ClientHello (RFC 8446, 4.1.2), so that TLS waits for the rest.
TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


class Target:
    """One socket of a server, and the connections to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        kind, _, self._where = name.partition(":")
        self._family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
        self._said = TLS if kind == "tls" else HTTP
        self._sent: dict[socket.socket, int] = {}
        self.most, self.refused = 0, ""

    def fill(self, count: int) -> None:
        """Open what is missing of so many connections, until the server takes no more."""
        while len(self._sent) < count:
            sock = socket.socket(self._family)
            sock.settimeout(CONNECT_SECONDS)
            try:
                sock.connect(
                    self._where if self._family == socket.AF_UNIX else ("127.0.0.1", int(self._where))
                )
            except OSError as fault:
                self.refused = fault.strerror or str(fault)
                sock.close()
                break
            sock.setblocking(False)
            self._sent[sock] = 0
        self.most = max(self.most, len(self._sent))

    def drip(self) -> None:
        """Send a byte over each, and drop those that the server has closed."""
        for sock, sent in list(self._sent.items()):
            try:
                if _has_ended(sock):
                    raise ConnectionResetError
                sock.send(self._said[sent : sent + 1] or b"x")
                self._sent[sock] = sent + 1
            except BlockingIOError:
                pass
            except OSError:
                sock.close()
                del self._sent[sock]


def _has_ended(sock: socket.socket) -> bool:
    try:
        return not sock.recv(4096)
    except BlockingIOError:
        return False


def main() -> None:
    """Hold the connections, and open each again that a server has closed, until the input ends."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count, targets = int(sys.argv[1]), [Target(name) for name in sys.argv[2:]]
    begun = False
    while True:
        for target in targets:
            target.fill(count)
        if not begun:
            print("dripping", flush=True)
            begun = True
        for target in targets:
            target.drip()
        if select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
            break
    print(json.dumps({target.name: [target.most, target.refused] for target in targets}), flush=True)


if __name__ == "__main__":
    main()

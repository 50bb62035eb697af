"""An unprivileged local user who opens many connections to a port on loopback and sends each a byte a second.

drips.py PORT CONNECTIONS: prints `dripping` once they are open, or as many as the server takes. Ends when killed.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

PAUSE_SECONDS = 1.0
REQUEST = b"GET /api/v1/services HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


def _opened(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=1.0)
    except OSError:
        return None


def main() -> None:
    """Open the connections, and open each anew that the server has closed."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    sent: dict[socket.socket, int] = {}
    first = True
    while True:
        for _ in range(count - len(sent)):
            if (one := _opened(port)) is None:
                break
            one.setblocking(False)
            sent[one] = 0
        if first:
            print("dripping", flush=True)
            first = False
        for one in list(sent):
            byte = REQUEST[sent[one] : sent[one] + 1] or b"x"
            sent[one] += 1
            with contextlib.suppress(BlockingIOError):
                try:
                    one.send(byte)
                except OSError:
                    one.close()
                    del sent[one]
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()

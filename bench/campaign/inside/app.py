"""A small web server under a name of its own, as a daemon: app.py NAME PORT.

Returns once it listens. Its process is called NAME, so that `pkill -x NAME` ends it and no other.
"""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BODY = b"<html>well</html>\n"


class _Well(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Discard the log message."""


def main() -> None:
    """Listen, leave the caller, and serve until killed."""
    name, port = sys.argv[1], int(sys.argv[2])
    server = ThreadingHTTPServer(("", port), _Well)
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    Path("/proc/self/comm").write_text(name)
    server.serve_forever()


if __name__ == "__main__":
    main()

"""A dead-man's switch as there are in the world: a URL that tells people when nobody has called it for too long."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.polling import wait_for


class DeadmanSwitch:
    """Started with `with`. People are told once no call has come for `grace_seconds`, after a first one."""

    def __init__(self, grace_seconds: float) -> None:
        self.calls: list[tuple[float, str, dict[str, Any]]] = []  # when, path and body of each
        self._grace_seconds = grace_seconds
        switch = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Say nothing: this runs inside a test."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                switch.calls.append((time.monotonic(), self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> DeadmanSwitch:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def people_are_told(self) -> bool:
        return bool(self.calls) and time.monotonic() - self.calls[-1][0] > self._grace_seconds

    def wait_for_calls(self, count: int, deadline_seconds: float) -> None:
        wait_for(
            lambda: len(self.calls) >= count,
            f"{count} calls have come",
            deadline_seconds,
            state=lambda: len(self.calls),
        )

    def seconds_until_people_are_told(self, deadline_seconds: float) -> float:
        begun = time.monotonic()
        wait_for(lambda: self.people_are_told, "people are told", deadline_seconds)
        return time.monotonic() - begun

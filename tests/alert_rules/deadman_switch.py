"""A dead-man's switch as there are in the world: a URL that notifies people when it was not called for too long."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

from tests.support.http_server import QuietHandler, http_server
from tests.support.polling import wait_for


class DeadmanSwitch:
    """Started with `with`. People are notified once no call has come for `grace_seconds`, after a first one."""

    def __init__(self, grace_seconds: float) -> None:
        self.calls: list[tuple[float, str, dict[str, Any]]] = []  # when, path and body of each
        self._grace_seconds = grace_seconds
        switch = self

        class Handler(QuietHandler):
            def post(self, body: bytes) -> None:
                switch.calls.append((time.monotonic(), self.path, json.loads(body)))
                self.answer()

        self._running = ExitStack()
        self._handler = Handler

    def __enter__(self) -> DeadmanSwitch:
        self.url = self._running.enter_context(http_server(self._handler)).url
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

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
        wait_for(lambda: self.people_are_told, "people are notified", deadline_seconds)
        return time.monotonic() - begun

"""Threads that handle requests, one client after the other: a busy client delays only its own requests."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

log = logging.getLogger(__name__)

WAITING_AT_MOST = 64  # requests of one client
LONGEST_REST_SECONDS = 1.0

Work = Callable[[], None]


class Lane:
    """A few threads. `share`: the part of one processor that they may use together; None means no limit."""

    def __init__(self, name: str, threads: int, share: float | None = None) -> None:
        self._waiting: OrderedDict[str, deque[Work]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._rest = 0.0 if share is None else threads / share - 1  # seconds to sleep per second of work
        self._threads = [
            threading.Thread(target=self._run, name=f"http-{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, client: str, work: Work) -> bool:
        """Queue a client's work; return False if too much of it is queued already."""
        with self._changed:
            mine = self._waiting.setdefault(client, deque())
            if len(mine) >= WAITING_AT_MOST:
                return False
            mine.append(work)
            self._changed.notify()
        return True

    def close(self) -> None:
        """Stop the threads; queued work is discarded."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def join(self, timeout_seconds: float) -> None:
        """Wait until the threads have ended, or until the timeout for each."""
        for thread in self._threads:
            thread.join(timeout_seconds)

    def _next(self) -> Work | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            client, mine = self._waiting.popitem(last=False)
            work = mine.popleft()
            if mine:
                self._waiting[client] = mine  # to the end of the queue: other clients come first
            return work

    def _run(self) -> None:
        while (work := self._next()) is not None:
            begun = time.thread_time()
            try:
                work()
            except Exception:
                log.exception("a request could not be handled", extra={"event": "request_failed"})
            if self._rest:
                time.sleep(min(LONGEST_REST_SECONDS, (time.thread_time() - begun) * self._rest))

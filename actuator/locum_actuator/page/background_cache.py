"""What costs something to know is made anew in the background, and only while somebody wants to see it.

However many ask, it is made once; nobody who asks waits for it; and making it takes a tenth of a core at most.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

LINGER_SECONDS = 10.0  # after the last who asked; a page in the background asks every five
SHARE = 0.1  # of a core, at most, goes into making it


class BackgroundCache(Generic[T]):
    """A value that `make` makes. Threads may share it."""

    def __init__(
        self, name: str, every_seconds: float, make: Callable[[], T], first: T, is_over: Callable[[], bool]
    ) -> None:
        """`first` is what it is until it was made once; when `is_over` the program ends, and the thread with it."""
        self._name = name
        self._every_seconds = every_seconds
        self._make = make
        self._value = first
        self._is_over = is_over
        self._fault: Exception | None = None  # why it was not made the last time
        self._made_at = float("-inf")  # monotonic, as all here
        self._asked_at = float("-inf")
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._thread: threading.Thread | None = None

    def get(self) -> T:
        """Return what was made last, at once; it is made anew from now on."""
        self._asked_at = time.monotonic()
        if not self._is_running():
            with self._lock:
                if not self._is_running():
                    self._thread = threading.Thread(target=self._run, name=f"page-{self._name}", daemon=True)
                    self._thread.start()
        return self._value

    def fresh(self, max_age_seconds: float) -> T:
        """Return it; made here and now where nobody has wanted it of late and it is older than so.

        Raises what kept it from being made, where that has lasted for longer.
        """
        is_kept = self._thread is not None and self._made_at > float("-inf")
        value, fault = self.get(), self._fault
        if fault is not None and time.monotonic() - self._made_at > max_age_seconds:
            raise fault.with_traceback(None)  # better nothing than what is long over
        if is_kept or time.monotonic() - self._made_at <= max_age_seconds:
            return value
        with self._making:
            if time.monotonic() - self._made_at > max_age_seconds:
                self._value = self._make()
                self._made_at, self._fault = time.monotonic(), None
        return self._value

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while True:
            begun = time.thread_time()  # what it waits for others costs nobody anything
            try:
                with self._making:
                    self._value = self._make()
                    self._made_at, self._fault = time.monotonic(), None
            except Exception as fault:
                if self._is_over():
                    return
                self._fault = fault
                # Whatever it was: what was known before stands, and the next time it may work.
                log.warning(
                    "the page's %s could not be made: %s: %s",
                    self._name,
                    type(fault).__name__,
                    fault,
                    extra={"event": "page_not_made"},
                )
            time.sleep(max(self._every_seconds, (time.thread_time() - begun) * (1 / SHARE - 1)))
            with self._lock:
                if time.monotonic() - self._asked_at > LINGER_SECONDS:
                    self._thread = None
                    return

"""Compute expensive values in the background, and only while a page displays them.

It is computed once for all requests, no request waits for it, and computing it takes at most a tenth of a core.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

LINGER_SECONDS = 10.0  # after the last request; a page in a background tab sends one every five
SHARE = 0.1  # of a core, at most, is used for computing it


class BackgroundCache(Generic[T]):
    """A value that `make` computes. Safe for use from several threads."""

    def __init__(
        self, name: str, every_seconds: float, make: Callable[[], T], first: T, is_over: Callable[[], bool]
    ) -> None:
        """`first` is the value until `make` has run once; `is_over` is set when the program ends."""
        self._name = name
        self._every_seconds = every_seconds
        self._make = make
        self._value = first
        self._is_over = is_over
        self._fault: Exception | None = None  # why the last attempt failed
        self._made_at = float("-inf")  # monotonic, like all times here
        self._asked_at = float("-inf")
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._thread: threading.Thread | None = None

    def get(self) -> T:
        """Return the last value at once, and keep it up to date from now on."""
        self._asked_at = time.monotonic()
        if not self._is_running():
            with self._lock:
                if not self._is_running():
                    self._thread = threading.Thread(target=self._run, name=f"page-{self._name}", daemon=True)
                    self._thread.start()
        return self._value

    def fresh(self, max_age_seconds: float) -> T:
        """Return the value; compute it first if it is older than the limit and no longer kept up to date.

        Raises the error of the last attempt if the value has been too old for longer.
        """
        is_kept = self._thread is not None and self._made_at > float("-inf")
        value, fault = self.get(), self._fault
        if fault is not None and time.monotonic() - self._made_at > max_age_seconds:
            raise fault.with_traceback(None)  # an error is better than an outdated value
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
            begun = time.thread_time()  # CPU time only: waiting costs nothing
            try:
                with self._making:
                    self._value = self._make()
                    self._made_at, self._fault = time.monotonic(), None
            except Exception as fault:
                if self._is_over():
                    return
                self._fault = fault
                # After any failure the previous value stays, and the next attempt may succeed.
                log.warning(
                    "the page's %s could not be computed: %s: %s",
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

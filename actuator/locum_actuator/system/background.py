"""Run background threads under supervision: none ends unnoticed, and one that keeps failing is reported.

`BackgroundThread` has a thread and is not a subclass of one: `threading.Thread` has private names, and a new
version of Python may add one that a subclass uses already, as 3.13 did with `_handle`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from locum_actuator.metrics import Metrics
from locum_actuator.system import runtime

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0  # before a thread whose work raised is run again
FAILURES_IN_A_ROW = 2  # make a thread "failing": a single one may be temporary, and is retried at once
OTHER = "other"  # the name in the metrics of all other threads


def in_words(fault: BaseException) -> str:
    """Return one line with an exception's class and message."""
    return f"{type(fault).__name__}: {fault}".splitlines()[0].removesuffix(": ")


class Health:
    """The failures of the background threads, by name. Safe for use from several threads."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._lock = runtime.lock()
        self._failures: dict[str, int] = {}  # in a row
        self._faults: dict[str, str] = {}  # the last one of each thread, as text

    def failed(self, thread: str, fault: BaseException) -> None:
        """Count one failed attempt of a thread."""
        with self._lock:
            self._failures[thread] = self._failures.get(thread, 0) + 1
            self._faults[thread] = in_words(fault)
            self._metrics.thread_failed(thread, failing=self._failures[thread] >= FAILURES_IN_A_ROW)

    def succeeded(self, thread: str) -> None:
        """Record that a thread succeeded; it is no longer failing."""
        with self._lock:
            self._failures.pop(thread, None)
            self._faults.pop(thread, None)
            self._metrics.thread_succeeded(thread)

    def failing(self) -> list[str]:
        """Return a line for each thread whose last attempts failed."""
        with self._lock:
            return [
                f"the thread {name} has failed {count} times in a row: {self._faults[name]}"
                for name, count in sorted(self._failures.items())
                if count >= FAILURES_IN_A_ROW
            ]


class BackgroundThread:
    """A thread that runs `body` until it returns; a body that raises is logged, counted and run again."""

    def __init__(self, name: str, body: Callable[[], None], health: Health) -> None:
        self.name = name
        self.ended = runtime.event()  # set: the body must return soon
        self._body = body
        self._health = health
        self._thread = runtime.thread(self._run, name=name)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """Ask the thread to end."""
        self.ended.set()

    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until the thread has ended, or until the timeout."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            try:
                self._body()
            # SystemExit as well: Python ends a thread that raises it without a message.
            except BaseException as fault:
                self._health.failed(self.name, fault)
                log.critical(
                    "the thread %s stopped and is restarted in %g s",
                    self.name,
                    RESTART_SECONDS,
                    exc_info=True,
                    extra={"event": "thread_stopped", "part": self.name},
                )
                if not self.ended.wait(RESTART_SECONDS):
                    continue
            break
        self._health.succeeded(self.name)  # it ended normally, so it is not failing


def count_uncaught(metrics: Metrics) -> None:
    """Count exceptions that no thread catches, also in libraries, as failures of the thread "other"."""
    metrics.thread_succeeded(OTHER)
    log_it = threading.excepthook

    def count(uncaught: threading.ExceptHookArgs) -> None:
        metrics.thread_failed(OTHER, failing=False)
        log_it(uncaught)

    threading.excepthook = count

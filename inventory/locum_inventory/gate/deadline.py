"""Deadlines for operations that may block for ever: one point in time, shared by all nested calls."""

from __future__ import annotations

import errno
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from locum_inventory.gate.protocol import GateError

T = TypeVar("T")

# No descriptor, process, memory or buffer left on this machine: not evidence about the other host.
OWN_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOBUFS})


class Deadline:
    """A point in time on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds  # the time until the deadline when it was set
        self._at = time.monotonic() + seconds

    @property
    def left_seconds(self) -> float:
        """The seconds until the deadline, at least 0."""
        return max(0.0, self._at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the deadline has passed."""
        return self.left_seconds == 0.0

    def sooner(self, seconds: float) -> Deadline:
        """Return this deadline, or one `seconds` from now if that is earlier."""
        return Deadline(min(seconds, self.left_seconds))


def within(deadline: Deadline, late_text: str, function: Callable[[], T]) -> T:
    """Return what `function` returns, or raise `GateError("timeout", late_text)` at the deadline.

    It runs in a separate thread, because several of paramiko's calls wait without a deadline. A thread that is
    abandoned ends when its socket is closed.
    """
    outcomes: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((function(), None))
        except BaseException as error:
            outcomes.put((None, error))

    start_thread(threading.Thread(target=run, name="locum-gate", daemon=True))
    try:
        value, error = outcomes.get(timeout=deadline.left_seconds)
    except queue.Empty:
        raise GateError("timeout", late_text) from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # no error, so it is a T


def start_thread(thread: threading.Thread) -> None:
    """Start a thread that calls a gate. Raises `GateError` if this machine cannot start another one."""
    try:
        thread.start()
    except RuntimeError as error:
        raise GateError.busy(f"the gate could not be called: {error}") from None

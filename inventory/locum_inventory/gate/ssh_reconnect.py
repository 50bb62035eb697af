"""Keep a connection open: connect on demand, in one thread at a time, and back off after failures."""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable

from locum_inventory.gate.deadline import Deadline, start_thread
from locum_inventory.gate.protocol import GateError
from locum_inventory.gate.ssh_connection import Connection

BACK_OFF_FIRST_SECONDS = 0.1
BACK_OFF_MOST_SECONDS = 1.0


class KeptConnection:
    """The connection to a host that new calls use."""

    def __init__(self, host: str, dial: Callable[[], Connection]) -> None:
        self._host = host
        self._dial = dial
        self._changed = threading.Condition()
        self._connection: Connection | None = None
        self._dialling = False
        self._begun = 0  # number of attempts; the outcome of the newest one is used
        self._attempts = 0  # number of finished attempts
        self._closed = 0  # number of closes: a connection begun before the last close is not kept
        self._faults = 0  # in a row
        self._fault: GateError | None = None
        self._not_before = 0.0  # of the monotonic clock

    def get(self, deadline: Deadline) -> Connection:
        """Return a usable connection; if there is none, wait for a new one.

        While the back-off after a failed attempt lasts, the error of that attempt is raised at once.
        """
        with self._changed:
            joined_at: int | None = None
            while True:
                if self._connection is not None and self._connection.is_usable:
                    return self._connection
                if joined_at is not None and self._attempts > joined_at and self._fault is not None:
                    raise self._fault.again()
                pause_seconds = self._begin_or_pause()
                if joined_at is None:
                    joined_at = self._attempts
                self._changed.wait(min(pause_seconds, deadline.left_seconds))
                if deadline.passed:
                    raise GateError("timeout", f"{self._host}: no connection in time")

    def warm(self) -> None:
        """Start connecting if there is no connection, so that the next `get` does not wait for a login."""
        with self._changed, contextlib.suppress(GateError):
            if self._connection is None or not self._connection.is_usable:
                self._begin_or_pause()

    def retry_now(self) -> None:
        """Allow the next `get` to connect at once; an attempt that is under way is abandoned.

        Used when the host is known to accept connections again: a packet of that attempt may have been lost before.
        """
        with self._changed:
            if self._connection is not None and self._connection.is_usable:
                return
            self._begun += 1
            self._dialling = False
            self._faults, self._not_before = 0, 0.0
            self._changed.notify_all()

    def close(self) -> None:
        """Close the connection; a later `get` opens a new one."""
        with self._changed:
            self._closed += 1
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _begin_or_pause(self) -> float:
        """Begin an attempt unless one is under way or backing off; return the seconds until the next change."""
        now = time.monotonic()
        if self._dialling:
            return math.inf
        if now < self._not_before:
            if self._fault is not None:
                raise self._fault.again()
            return self._not_before - now
        # Counted from the start of the attempt: one that took a second to fail has waited long enough.
        most = min(BACK_OFF_MOST_SECONDS, BACK_OFF_FIRST_SECONDS * 2**self._faults)
        self._not_before = now + most * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._dialling = True
        self._begun += 1
        attempt = threading.Thread(
            target=self._attempt, args=(self._begun,), name=f"locum-dial-{self._host}", daemon=True
        )
        try:
            start_thread(attempt)
        except GateError:
            self._dialling = False
            raise
        return math.inf

    def _attempt(self, number: int) -> None:
        connection: Connection | None = None
        fault: GateError | None = None
        closed = self._closed
        try:
            connection = self._dial()
        except GateError as error:
            fault = error
        except Exception as error:
            # An unexpected error, not one of the network or the host.
            fault = GateError.busy(
                f"{self._host}: the gate could not be called: {type(error).__name__}: {error}"
            )
        with self._changed:
            if number != self._begun:
                if connection is not None:
                    connection.close()
                return
            self._dialling = False
            self._attempts += 1
            if connection is not None and closed != self._closed:
                connection.close()
                connection, fault = None, GateError("closed", f"{self._host}: the connection was abandoned")
            self._connection, self._fault = connection, fault
            self._faults = 0 if fault is None else min(self._faults + 1, 10)
            self._changed.notify_all()

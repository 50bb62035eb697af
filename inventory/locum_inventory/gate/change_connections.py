"""Connections for changes, separate from the one for status calls because a change can take as long as a stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from locum_inventory.gate.deadline import Deadline
from locum_inventory.gate.protocol import GateError
from locum_inventory.gate.ssh_connection import Connection
from locum_inventory.gate.ssh_reconnect import KeptConnection

CALLS_A_LANE = 8  # sshd allows ten channels a connection (MaxSessions)
LANES = 4  # times CALLS_A_LANE: the number of concurrent changes on one host


class _Lane:
    """One connection and its free channels."""

    def __init__(self, kept: KeptConnection) -> None:
        self.kept = kept
        self.room = threading.Semaphore(CALLS_A_LANE)


class ChangeLanes:
    """The connections to one host; a second is opened only while the first is full."""

    def __init__(self, host: str, dial: Callable[[], Connection]) -> None:
        self._host = host
        self._lanes = tuple(_Lane(KeptConnection(host, dial)) for _ in range(LANES))
        self._room = threading.Semaphore(CALLS_A_LANE * LANES)

    @contextmanager
    def lane(self, deadline: Deadline) -> Iterator[KeptConnection]:
        """Lend a connection with a free channel. Raises `GateError`: `busy` if there is none."""
        if not self._room.acquire(timeout=deadline.left_seconds):
            raise GateError.busy(f"{self._host}: {CALLS_A_LANE * LANES} changes are already under way there")
        try:
            lane = next(lane for lane in self._lanes if lane.room.acquire(blocking=False))
            try:
                yield lane.kept
            finally:
                lane.room.release()
        finally:
            self._room.release()

    def warm(self) -> None:
        """Connect in advance, so that a takeover does not wait for a login."""
        self._lanes[0].kept.warm()

    def retry_now(self) -> None:
        """Allow the next call to connect at once."""
        for lane in self._lanes:
            lane.kept.retry_now()

    def close(self) -> None:
        """Close them all."""
        for lane in self._lanes:
            lane.kept.close()

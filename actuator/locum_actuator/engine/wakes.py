"""Wait for a reason to check a service: an alert, a requested move, or a missing host that accepts SSH again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from locum_actuator.engine.context import Context
from locum_actuator.engine.move_incident import MoveRequest
from locum_actuator.engine.patrol import Patrol
from locum_actuator.observation.reconnect_probe import LISTEN_SECONDS, ReconnectProbe
from locum_actuator.system import runtime


@dataclass(frozen=True, slots=True)
class Wake:
    """A reason to check a service: an alert of the journal, a requested move, or a finding of its own."""

    trigger: str
    alert: int | None = None
    returned: frozenset[str] = frozenset()  # hosts that were silent and answer again
    asked: MoveRequest | None = None


class WakeQueue:
    """The wakes of one service's worker. Any thread may add one; only the worker waits."""

    def __init__(self, context: Context, patrol: Patrol, ended: runtime.Event) -> None:
        """`patrol` knows which hosts are missing; `ended` is set once the worker is asked to end."""
        self._context = context
        self._patrol = patrol
        self._ended = ended
        self._reconnect_probe = ReconnectProbe.of(context.site, context.service)
        self._seen = False  # a missing host accepts SSH: ask its gate at once
        self._queue: runtime.Queue[Wake | None] = runtime.new_queue()

    def put(self, wake: Wake | None) -> None:
        """Add a wake; None only interrupts the wait. Returns at once."""
        self._queue.put(wake)

    def wait(self) -> Wake | None:
        """Wait for a wake; None once the next patrol round is due."""
        until = runtime.monotonic() + self._patrol.pause_seconds
        while not self._ended.is_set() and not self._seen and (left := until - runtime.monotonic()) > 0:
            try:
                return self._queue.get(timeout=min(left, LISTEN_SECONDS) if self._patrol.missing else left)
            except runtime.Empty:
                self._look_out()
        self._seen = False
        return None

    def interrupts_patrol(self) -> bool:
        """Return whether to stop a patrol round: because of a wake, or because a missing host accepts SSH."""
        self._look_out()
        return self._ended.is_set() or not self._queue.empty() or self._seen

    def take_all(self) -> Iterator[Wake]:
        """Yield the wakes that are in the queue now, and remove them."""
        with contextlib.suppress(runtime.Empty):
            while True:
                wake = self._queue.get_nowait()
                if wake is not None:
                    yield wake

    def close(self) -> None:
        """Close the connections to missing hosts."""
        self._reconnect_probe.close()

    def _look_out(self) -> None:
        """Check whether a missing host accepts SSH again, so that it releases the address without delay."""
        for host in self._reconnect_probe.glimpse(self._patrol.missing):
            self._context.gates[host].retry_now()
            self._seen = True

"""Limit the connections of a listener: at the limit, the client with the most connections loses one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from locum_actuator.web.peer import Peer


@dataclass(eq=False, slots=True)
class Connection:
    """One connection. `is_busy` while its request is handled; `is_known` once it has sent a valid token."""

    peer: Peer
    task: asyncio.Task[None] | None = None
    is_busy: bool = False
    is_known: bool = False
    waits_since: float = field(default_factory=time.monotonic)

    def end(self) -> None:
        """Close it, even during a request."""
        if self.task is not None:
            self.task.cancel()


class Connections:
    """The open connections of one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, new: Connection) -> None:
        """Add a connection; at the limit, close the longest idle one of the client with the most connections.

        A connection with a valid token, or with an active request, is closed only if there is no other.
        """
        if len(self._open) >= self._limit:
            count = Counter(one.peer.name for one in self._open)
            idle = [one for one in self._open if not one.is_busy] or list(self._open)
            strange = [one for one in idle if not one.is_known] or idle
            oldest = min(strange, key=lambda one: (-count[one.peer.name], one.waits_since))
            oldest.end()
            self._open.discard(oldest)
        self._open.add(new)

    def remove(self, one: Connection) -> None:
        """Remove a closed connection."""
        self._open.discard(one)

    def end_all(self) -> list[asyncio.Task[None]]:
        """Close all connections; return the tasks to wait for."""
        for one in self._open:
            one.end()
        return [one.task for one in self._open if one.task is not None]

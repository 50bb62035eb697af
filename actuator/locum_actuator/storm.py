"""Which holder hosts fail right now, over all services: what one service's decision cannot see by itself."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

NEAR_SECONDS = 30.0  # faults that begin within this of each other may have one cause


@dataclass(frozen=True, slots=True)
class _Fault:
    host: str
    began: float  # on the monotonic clock
    seen: bool  # a look has shown that it is one


class Storm:
    """The open faults of a site by service. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, _Fault] = {}

    def opened(self, service: str, holder: str | None) -> None:
        """Note that an incident has begun, and nobody has looked yet."""
        if holder is not None:
            with self._lock:
                self._faults[service] = _Fault(holder, time.monotonic(), seen=False)

    def looked(self, service: str, holder: str | None, *, failing: bool) -> None:
        """Note what a look at the holder showed."""
        with self._lock:
            known = self._faults.pop(service, None)
            if holder is None or not failing:
                return
            goes_on = known is not None and known.host == holder
            began = known.began if known is not None and goes_on else time.monotonic()
            self._faults[service] = _Fault(holder, began, seen=True)

    def closed(self, service: str) -> None:
        """Note that the incident has ended."""
        with self._lock:
            self._faults.pop(service, None)

    def known(self) -> frozenset[str]:
        """Return the holder hosts with an open fault, of whatever age."""
        with self._lock:
            return frozenset(fault.host for fault in self._faults.values())

    def failing(self) -> frozenset[str]:
        """Return the holder hosts of which a look has shown that they fail."""
        with self._lock:
            return frozenset(fault.host for fault in self._faults.values() if fault.seen)

    def near(self, service: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the other hosts whose faults began about when this service's did: (seen, not looked at yet)."""
        with self._lock:
            mine = self._faults.get(service)
            if mine is None:
                return frozenset(), frozenset()
            others = [
                fault
                for fault in self._faults.values()
                if fault.host != mine.host and abs(fault.began - mine.began) <= NEAR_SECONDS
            ]
        seen = frozenset(fault.host for fault in others if fault.seen)
        return seen, frozenset(fault.host for fault in others) - seen

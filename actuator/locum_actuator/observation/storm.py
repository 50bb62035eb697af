"""Track which holder hosts are failing, across all services, for the decisions of each service."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from locum_actuator.system import runtime

NEAR_SECONDS = 30.0  # faults that begin within this time of each other may have one cause
# A network recovers port by port: after the first host is well again, the others get this long.
SETTLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Fault:
    host: str
    began: float  # on the monotonic clock
    seen: bool  # a check has confirmed the fault
    stormy: bool = False  # another fault began at about the same time


class StormDetector:
    """The open faults of a site, by service. Threads may share it."""

    def __init__(self) -> None:
        self._lock = runtime.lock()
        self._faults: dict[str, _Fault] = {}
        self._well_since: dict[str, float] = {}  # hosts of a storm that are well again

    def opened(self, service: str, holder: str | None) -> None:
        """Record that an incident has begun, without a check so far."""
        if holder is not None:
            with self._lock:
                self._faults[service] = _Fault(holder, runtime.monotonic(), seen=False)

    def looked(self, service: str, holder: str | None, *, failing: bool) -> None:
        """Record the result of a check of the holder."""
        with self._lock:
            known = self._faults.pop(service, None)
            if holder is None or not failing:
                self._settle(known)
            elif known is not None and known.host == holder:
                self._faults[service] = replace(known, seen=True)
            else:
                self._faults[service] = _Fault(holder, runtime.monotonic(), seen=True)

    def closed(self, service: str) -> None:
        """Record that the incident has ended."""
        with self._lock:
            self._settle(self._faults.pop(service, None))

    def _settle(self, fault: _Fault | None) -> None:
        if fault is not None and fault.stormy:
            self._well_since[fault.host] = runtime.monotonic()

    def known(self) -> frozenset[str]:
        """Return the holder hosts with an open fault of any age."""
        with self._lock:
            return frozenset(fault.host for fault in self._faults.values())

    def failing(self, within_seconds: float = math.inf) -> frozenset[str]:
        """Return the holder hosts with a confirmed fault that is at most `within_seconds` old."""
        now = runtime.monotonic()
        with self._lock:
            return frozenset(
                fault.host
                for fault in self._faults.values()
                if fault.seen and now - fault.began <= within_seconds
            )

    def near(self, service: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the other hosts whose faults began at about the same time: (confirmed, not checked yet).

        The confirmed ones include hosts that recovered less than `SETTLE_SECONDS` ago.
        """
        with self._lock:
            mine = self._faults.get(service)
            if mine is None:
                return frozenset(), frozenset()
            others = {
                name: fault
                for name, fault in self._faults.items()
                if fault.host != mine.host and abs(fault.began - mine.began) <= NEAR_SECONDS
            }
            seen = frozenset(fault.host for fault in others.values() if fault.seen)
            if seen:
                for name in (service, *others):
                    self._faults[name] = replace(self._faults[name], stormy=True)
            settling = self._settling() - {mine.host} if mine.stormy else frozenset()
        return seen | settling, frozenset(fault.host for fault in others.values()) - seen

    def _settling(self) -> frozenset[str]:
        now = runtime.monotonic()
        return frozenset(host for host, at in self._well_since.items() if now - at < SETTLE_SECONDS)

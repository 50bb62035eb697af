"""A gate that answers what a test says, with real waiting."""

import threading
from collections.abc import Mapping

from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import GateError, GateStatus, ServiceStatus, Verb


class FakeGate:
    """Answers `look` with counts, or raises a fault, or blocks until its deadline and `late_seconds` longer."""

    def __init__(
        self,
        counts: Mapping[str, int] | None = None,
        *,
        fault: GateError | None = None,
        hangs: bool = False,
        late_seconds: float = 0.0,
    ) -> None:
        self._counts, self._fault, self._hangs = counts or {}, fault, hangs
        self._late_seconds = late_seconds
        self.closed = threading.Event()

    def count_processes(self, *, deadline_seconds: float) -> Mapping[str, int]:
        if self._hangs:
            self.closed.wait(deadline_seconds + self._late_seconds)
            raise GateError("timeout", f"no answer within {deadline_seconds:g} s")
        if self._fault is not None:
            raise self._fault
        return self._counts

    def status(self, *, deadline_seconds: float) -> GateStatus:
        raise AssertionError("an exporter only looks")

    def last_status(self) -> GateStatus | None:
        raise AssertionError("an exporter only looks")

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        raise AssertionError("an exporter only looks")

    def retry_now(self) -> None:
        raise AssertionError("an exporter only looks")

    def close(self) -> None:
        self.closed.set()

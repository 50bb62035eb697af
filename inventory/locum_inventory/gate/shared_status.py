"""Share one gate's answer: `status` reports all services, so concurrent callers need only one call."""

from __future__ import annotations

import threading
from collections.abc import Callable

from locum_inventory.gate.deadline import Deadline, start_thread
from locum_inventory.gate.protocol import GateError, GateStatus

CALLS_AT_ONCE = 3  # the next call answers all callers that arrived meanwhile


class SharedStatus:
    """Calls of `status` on one host. A call's answer goes only to callers that asked before it began."""

    def __init__(self, host: str, ask: Callable[[Deadline], GateStatus]) -> None:
        self._host = host
        self._ask = ask
        self._lock = threading.Lock()
        self._running = 0
        self._next: _Batch | None = None  # the callers that wait for the next call
        self.last: GateStatus | None = None  # the newest answer

    def get(self, deadline: Deadline) -> GateStatus:
        """Return the answer of a call that begins after this one. Raises `GateError` by the deadline."""
        with self._lock:
            begins = self._running < CALLS_AT_ONCE and self._next is None
            if begins:
                self._running += 1
            else:
                self._next = self._next or _Batch()
                batch = self._next
                batch.join(deadline)
        if not begins:
            return batch.wait(deadline, self._host)
        try:
            return self._ask_now(deadline)
        finally:
            self._end_call()

    def _ask_now(self, deadline: Deadline) -> GateStatus:
        self.last = status = self._ask(deadline)
        return status

    def _end_call(self) -> None:
        """Begin the next call if any callers wait for it."""
        with self._lock:
            batch, self._next = self._next, None
            if batch is None:
                self._running -= 1
                return
        try:
            start_thread(
                threading.Thread(target=self._serve, args=(batch,), name="locum-status", daemon=True)
            )
        except GateError as fault:
            with self._lock:
                self._running -= 1
            batch.fail(fault)

    def _serve(self, batch: _Batch) -> None:
        try:
            batch.answer(self._ask_now(batch.deadline))
        except GateError as fault:
            batch.fail(fault)
        except Exception as error:
            batch.fail(
                GateError.busy(f"{self._host}: the gate could not be called: {type(error).__name__}: {error}")
            )
        finally:
            self._end_call()


class _Batch:
    """The callers that wait for the same call."""

    def __init__(self) -> None:
        self.deadline = Deadline(0.0)  # the latest deadline of the callers
        self.waiting = 0
        self._done = threading.Event()
        self._answer: GateStatus | None = None
        self._fault: GateError | None = None

    def join(self, deadline: Deadline) -> None:
        """Add a caller before the call begins."""
        self.waiting += 1
        if deadline.left_seconds > self.deadline.left_seconds:
            self.deadline = deadline

    def answer(self, status: GateStatus) -> None:
        """Give the answer to all callers."""
        self._answer = status
        self._done.set()

    def fail(self, fault: GateError) -> None:
        """Give the error to all callers."""
        self._fault = fault
        self._done.set()

    def wait(self, deadline: Deadline, host: str) -> GateStatus:
        """Return the answer, or raise the error."""
        if not self._done.wait(deadline.left_seconds):
            # The earlier calls are the same request, and none of them was answered in this time.
            raise GateError("timeout", f"{host}: the gate did not finish status in time")
        if self._answer is None:
            raise self._fault.again() if self._fault else GateError("timeout", f"{host}: no answer")
        return self._answer

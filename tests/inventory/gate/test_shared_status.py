"""One call of `status` answers those who asked before it began, and no others."""

from __future__ import annotations

import queue
import threading

import pytest

from locum_inventory.gate.deadline import Deadline
from locum_inventory.gate.protocol import GateError, GateStatus
from locum_inventory.gate.shared_status import CALLS_AT_ONCE, SharedStatus

LONG = 30.0


class Gate:
    """A gate whose calls end when the test says so, each with its number as its version."""

    def __init__(self) -> None:
        self.begun: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.calls = 0
        self._lock = threading.Lock()
        self._outcomes: dict[int, queue.SimpleQueue[GateError | None]] = {}

    def ask(self, deadline: Deadline) -> GateStatus:
        with self._lock:
            self.calls += 1
            number = self.calls
            self._outcomes[number] = queue.SimpleQueue()
        self.begun.put(number)
        try:
            fault = self._outcomes[number].get(timeout=LONG)
        except queue.Empty:  # the test that asked is over
            fault = GateError("timeout", "this call was not ended")
        if fault is not None:
            raise fault
        return GateStatus(str(number), "", {})

    def end(self, number: int, fault: GateError | None = None) -> None:
        self._outcomes[number].put(fault)


class Asker:
    """A caller that asks, in a thread."""

    def __init__(self, shared: SharedStatus, seconds: float = LONG) -> None:
        self.outcome: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._shared, self._seconds = shared, seconds
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self.outcome.put(self._shared.get(Deadline(self._seconds)).version)
        except GateError as fault:
            self.outcome.put(f"{fault.reason} {fault.asked}")

    def got(self) -> str:
        return self.outcome.get(timeout=LONG)


def full(gate: Gate, shared: SharedStatus) -> list[Asker]:
    askers = []
    for _ in range(CALLS_AT_ONCE):
        askers.append(Asker(shared))
        gate.begun.get(timeout=LONG)
    return askers


def waiting(shared: SharedStatus, count: int) -> list[Asker]:
    askers = [Asker(shared) for _ in range(count)]
    while shared._next is None or shared._next.waiting < count:
        pass
    return askers


def test_a2_many_who_ask_at_once_share_the_next_call() -> None:
    gate = Gate()
    shared = SharedStatus("a", gate.ask)
    early = full(gate, shared)
    late = waiting(shared, 16)
    gate.end(1)
    assert early[0].got() == "1"
    assert gate.begun.get(timeout=LONG) == CALLS_AT_ONCE + 1
    gate.end(CALLS_AT_ONCE + 1)
    assert {asker.got() for asker in late} == {str(CALLS_AT_ONCE + 1)}
    for number in range(2, CALLS_AT_ONCE + 1):
        gate.end(number)
    assert sorted(asker.got() for asker in early[1:]) == ["2", "3"]
    assert gate.calls == CALLS_AT_ONCE + 1


def test_a2_nobody_gets_an_answer_that_was_begun_before_the_question() -> None:
    gate = Gate()
    shared = SharedStatus("a", gate.ask)
    full(gate, shared)
    (late,) = waiting(shared, 1)
    for number in range(1, CALLS_AT_ONCE + 1):
        gate.end(number)
    assert gate.begun.get(timeout=LONG) == CALLS_AT_ONCE + 1
    assert late.outcome.empty()
    gate.end(CALLS_AT_ONCE + 1)
    assert late.got() == str(CALLS_AT_ONCE + 1)


def test_a2_a_fault_reaches_all_who_share_the_call() -> None:
    gate = Gate()
    shared = SharedStatus("a", gate.ask)
    full(gate, shared)
    late = waiting(shared, 3)
    gate.end(1)
    gate.begun.get(timeout=LONG)
    gate.end(CALLS_AT_ONCE + 1, GateError.busy("no descriptor"))
    assert {asker.got() for asker in late} == {"busy False"}


def test_a2_calls_that_nobody_answers_are_the_gates_silence() -> None:
    gate = Gate()
    shared = SharedStatus("a", gate.ask)
    full(gate, shared)
    assert Asker(shared, 0.05).got() == "timeout True"


@pytest.mark.parametrize("calls", [1, 50])
def test_a2_no_call_stays_counted_that_has_ended(calls: int) -> None:
    shared = SharedStatus("a", lambda _: GateStatus("1", "", {}))
    for _ in range(calls):
        shared.get(Deadline(LONG))
    assert shared._running == 0

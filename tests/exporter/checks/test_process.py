"""The process check has three answers: present, absent, could not be checked."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from locum_exporter.checks.process import process
from locum_inventory.gate.protocol import FaultReason, GateClient, GateError
from tests.exporter.fake_gate import FakeGate

pytestmark = pytest.mark.timed  # its deadlines are some tenths of a second

ROWS: dict[str, tuple[FakeGate, str | None, str, object]] = {
    "present": (FakeGate({"www": 1}), None, "process of www: 1 running", 1),
    "several": (FakeGate({"www": 55, "mail": 0}), None, "process of www: 55 running", 55),
    "absent": (FakeGate({"www": 0, "mail": 3}), "absent", "process of www: none is running", 0),
    "a gate that does not know the service": (
        FakeGate({"mail": 3}),
        "shell",
        "process of www: could not check: the gate does not know this service; run `locum enrol` for this host",
        None,
    ),
    "a gate that hangs": (FakeGate(hangs=True), "timeout", "process of www: could not check", None),
}


@pytest.mark.parametrize("row", ROWS)
async def test_process(row: str) -> None:
    gate, reason, text, count = ROWS[row]
    result = await process(gate, "www", 0.1)
    assert (result.reason, result.text[: len(text)]) == (reason, text)
    assert result.details.get("count") == count


FAULTS: dict[FaultReason, str] = {
    "unreachable": "unreachable",
    "refused": "refused",
    "timeout": "timeout",
    "auth": "auth",
    "host_key_unknown": "host_key_unknown",
    "host_key_changed": "host_key_changed",
    "closed": "reset",
    "failed": "shell",
    "gate": "shell",
    "old_epoch": "shell",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_could_not_look_is_neither_present_nor_absent(fault: FaultReason) -> None:
    result = await process(FakeGate(fault=GateError(fault, "what the gate said")), "www", 1.0)
    assert (result.reason, result.details) == (FAULTS[fault], {})
    assert result.text == "process of www: could not check: what the gate said"


async def test_hanging_gates_do_not_keep_others_waiting_beyond_the_deadline() -> None:
    hanging = [FakeGate(hangs=True, late_seconds=10.0) for _ in range(3)]
    with ThreadPoolExecutor(2) as threads:
        started_at = time.perf_counter()
        gates: list[GateClient] = [*hanging, FakeGate({"www": 1})]
        results = await asyncio.gather(*(process(gate, "www", 0.2, executor=threads) for gate in gates))
        seconds = time.perf_counter() - started_at
        for gate in hanging:
            gate.close()
    assert [result.reason for result in results] == ["timeout", "timeout", "timeout", "timeout"]
    assert seconds < 5.0

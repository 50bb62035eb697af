"""The exporter asks the gates whose a MAC address is that no host answered with for itself (B10)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from locum_exporter import gate_macs
from locum_exporter.gate_macs import GateMacs
from locum_inventory.gate.protocol import GateError, GateStatus, Link
from tests.exporter.fake_gate import FakeGate


class Reports(FakeGate):
    """A gate that reports the MACs of its host, and counts how often it was asked."""

    def __init__(self, *macs: str, fault: GateError | None = None) -> None:
        super().__init__()
        self.macs, self.fault, self.asked = macs, fault, 0

    def status(self, *, deadline_seconds: float) -> GateStatus:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return GateStatus(
            "2", "", {}, links={"eth0": Link("up", self.macs[:1]), "eth1": Link("up", self.macs[1:])}
        )


async def test_b10_gates_are_asked_in_the_background_and_not_again_at_once() -> None:
    a, b = Reports("02:00:00:00:00:01", "02:00:00:00:00:02"), Reports("02:00:00:00:00:03")
    silent = Reports(fault=GateError("timeout", "c: no answer"))
    with ThreadPoolExecutor(1) as executor:
        macs = GateMacs({"c": silent, "a": a, "b": b}, executor)
        assert macs.owner("02:00:00:00:00:02") is None
        for _ in range(5):
            macs.ask_soon()
        await asyncio.get_running_loop().run_in_executor(executor, lambda: None)
    assert macs.owner("02:00:00:00:00:02") == "a"
    assert macs.owner("02:00:00:00:00:03") == "b"
    assert macs.owner("02:00:00:00:00:09") is None
    assert (a.asked, b.asked, silent.asked) == (1, 1, 1)


async def test_b10_a_host_whose_gate_is_silent_keeps_what_is_known_of_it() -> None:
    a = Reports("02:00:00:00:00:01", "02:00:00:00:00:02")
    macs = GateMacs({"a": a}, None)
    macs.ask()
    a.fault = GateError("timeout", "a: no answer")
    macs.ask()
    assert macs.owner("02:00:00:00:00:02") == "a"
    assert gate_macs.PAUSE_SECONDS >= 10

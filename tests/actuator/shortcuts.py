"""Stand-ins for what fakes cannot have: a kernel whose addresses are a fake shell's, and waits that are short."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from locum_actuator.domain import patience
from locum_actuator.engine import incident
from locum_actuator.steps import claim, prove
from locum_actuator.system import netlink
from locum_inventory.site.model import InterfaceAddress
from tests.actuator.fakes import FakeGate


def kernel_of(shell: FakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the actuator's own host hold what its fake shell holds, and announce nothing."""

    def add(interface: str, address: InterfaceAddress, *, right_before: Callable[[], None]) -> None:
        right_before()
        shell.held = True

    def remove(address: InterfaceAddress) -> None:
        shell.held = False

    monkeypatch.setattr(netlink, "add", add)
    monkeypatch.setattr(netlink, "remove", remove)
    monkeypatch.setattr(netlink, "held", lambda addresses: {a.ip for a in addresses} if shell.held else set())
    monkeypatch.setattr(claim, "announce", lambda interface, addresses: None)
    monkeypatch.setattr(prove, "announce", lambda interface, addresses: None)


def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check again at once, and give up soon on what does not answer."""
    be_impatient(monkeypatch, 0.05)
    for name in ("KEEP_LOOKING_SECONDS", "WAITING_SECONDS"):
        monkeypatch.setattr(incident, name, 0.01)


def be_impatient(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Wait so long for an answer after a start, a respawn or a claim."""
    monkeypatch.setattr(prove, "ANSWER_SECONDS", seconds)
    monkeypatch.setattr(patience, "LEAST_ANSWER_SECONDS", seconds)
    for name in ("start_seconds", "respawn_seconds"):
        monkeypatch.setattr(patience, name, lambda service: seconds)

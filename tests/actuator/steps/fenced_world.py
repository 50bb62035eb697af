"""Fake hosts of which a holds the address, hangs, and can be switched off by an agent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from locum_actuator.domain.life import Life
from locum_actuator.domain.situation import Situation
from locum_actuator.steps import fence
from locum_inventory.site.model import Site
from tests.actuator.fakes import FakeGate, FakeWorld, site
from tests.actuator.shortcuts import in_no_time, kernel_of
from tests.actuator.steps.fence_scripts import make


@dataclass
class FencedWorld(FakeWorld):
    """a can be fenced, its device says what the test has it say, and it is dead once that has switched it off."""

    power: Path = Path("/nonexistent")
    asked: list[str] = field(default_factory=list)

    def life(self, service: str, host: str, *, pinged: bool) -> Life:
        self.asked.append(host)
        return super().life(service, host, pinged=pinged)

    def situation(self, service: str) -> Situation:
        seen = super().situation(service)
        return replace(seen, hosts={**seen.hosts, "a": replace(seen.hosts["a"], fenceable=True)})

    def echoes(self, host: str) -> int | None:
        if host == "a" and (self.power / "off").exists():
            self.dead.add("a")
        return super().echoes(host)


def fenced_world(monkeypatch: pytest.MonkeyPatch, power: Path) -> FencedWorld:
    """Return hosts: a holds the address and hangs, b stands by; a is off once `power` has a file `off`."""
    world = FencedWorld(
        {"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()}, hung={"a"}, power=power
    )
    kernel_of(world.gates["b"], monkeypatch)
    monkeypatch.setattr(fence, "_seen_off_at", {})
    in_no_time(monkeypatch)
    return world


def with_fence(directory: Path, ending: str) -> Site:
    """Return a site whose a is fenced by an agent that ends so."""
    values = site(when_unreachable="refuse").model_dump()
    values["hosts"]["a"]["fence"] = {"command": [str(make(directory, "agent", ending))], "timeout": 1}
    return Site.model_validate(values)

"""The devices that switch hosts off: they may be slow, fail, or report what is not true (docs/fencing.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from unittest.mock import patch

from locum_actuator.system import runtime
from locum_actuator.system.fence_agent import Action, FenceAgent, FenceAgentError, Power
from sim.world import World

Mood = Literal["works", "slow", "fails", "lies", "says_off"]
AGENT_SECONDS = 0.4
SLOW_SECONDS = 12.0


@dataclass(slots=True)
class Fences:
    """The devices of all hosts."""

    world: World
    moods: dict[str, Mood] = field(default_factory=dict)  # of hosts whose device does not work as it should
    claims_off: set[str] = field(default_factory=set)  # hosts that a lying device reports as off

    def power(self, host: str) -> Power:
        """Answer a status query."""
        self.world.operation()
        mood = self.moods.get(host, "works")
        runtime.sleep(AGENT_SECONDS)
        if mood == "fails":
            raise FenceAgentError("status: the device does not answer")
        if mood == "says_off" or (mood == "lies" and host in self.claims_off):
            self.world.lied_about_at[host] = self.world.now
            return "off"
        return "on" if self.world.hosts[host].up else "off"

    def turn(self, host: str, action: Action, deadline_seconds: float) -> None:
        """Switch a host off or on. The device does it whether or not its caller still waits."""
        self.world.operation()
        mood = self.moods.get(host, "works")
        self.world.happened(f"fence: {action}, and the device {mood}", host)
        if action == "off":
            self.world.ordered("fence", host)
        if mood == "fails":
            runtime.sleep(AGENT_SECONDS)
            raise FenceAgentError(f"{action}: the device does not answer")
        seconds = SLOW_SECONDS if mood == "slow" else AGENT_SECONDS
        if mood == "lies":
            self.claims_off.add(host)
            self.world.lied_about_at[host] = self.world.now
        else:
            self.world.later(seconds, lambda: self._switch(host, action), name=f"fence-{host}")
        runtime.sleep(min(seconds, deadline_seconds))
        self.world.operation()
        if seconds > deadline_seconds:
            raise FenceAgentError(f"{action}: not ended within {deadline_seconds:g} s")

    def _switch(self, host: str, action: Action) -> None:
        there = self.world.hosts[host]
        if action == "on":
            self.world.boot(there)
        elif there.up:
            self.world.fenced_at[host] = self.world.now
            self.world.lose_power(there)
            self.world.happened("is switched off", host)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the agents that the fence step runs be these devices."""

        def power(agent: FenceAgent, *, deadline_seconds: float) -> Power:
            return self.power(agent.host)

        def turn(agent: FenceAgent, action: Action, *, deadline_seconds: float) -> None:
            self.turn(agent.host, action, deadline_seconds)

        with patch.object(FenceAgent, "power", power), patch.object(FenceAgent, "turn", turn):
            yield

"""Simulated processes: their threads are stopped and killed together, and read the clocks of one machine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Clocks:
    """How far the clocks of one machine are ahead of the world's, in seconds."""

    monotonic: float = 0.0
    since_boot: float = 0.0
    wall: float = 0.0

    def stand_still(self, seconds: float) -> None:
        """Let all clocks lose so much, as while a hypervisor pauses the machine."""
        self.monotonic -= seconds
        self.since_boot -= seconds
        self.wall -= seconds

    def sleep(self, seconds: float) -> None:
        """Let only the monotonic clock lose so much, as while the machine is suspended (clock_gettime(2))."""
        self.monotonic -= seconds


@dataclass(slots=True, eq=False)
class Process:
    """One process. The virtual runtime lets its threads run unless it is stopped or killed."""

    name: str
    clocks: Clocks = field(default_factory=Clocks)
    stopped: bool = False  # as by SIGSTOP
    killed: bool = False  # as by SIGKILL

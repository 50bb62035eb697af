"""Clocks and chance that a test sets, in place of this machine's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from locum_actuator.system import runtime

NOON = 1_800_000_000.0


class SetTime(runtime.Runtime):
    """This machine's threads and waits, with clocks that stand still until the test sets them; all in seconds."""

    def __init__(self, wall: float = NOON) -> None:
        self.wall = wall
        self.booted = 100.0
        self.steady = 1000.0
        self.chance = 0.0

    def pass_by(self, seconds: float) -> None:
        """Let time go on."""
        self.wall += seconds
        self.booted += seconds
        self.steady += seconds

    def monotonic(self) -> float:
        """Return what the test has set."""
        return self.steady

    def since_boot(self) -> float:
        """Return what the test has set."""
        return self.booted

    def wall_time(self) -> float:
        """Return what the test has set."""
        return self.wall

    def random(self) -> float:
        """Return what the test has set."""
        return self.chance


@contextmanager
def set_time(wall: float = NOON) -> Iterator[SetTime]:
    """Use clocks that the test sets, in every thread of this process."""
    time = SetTime(wall)
    with runtime.use(time):
        yield time

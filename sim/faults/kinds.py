"""One fault of a schedule, and the table of all kinds of faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sim.actuator import Actuator
from sim.chain import Chain
from sim.fences import Fences
from sim.host import Host
from sim.profiles import Profile
from sim.world import World

HOLDER = "holder"  # in place of a host's name: the one that has the address when the fault is brought


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: at a time, or so many operations of the actuator after that time or after a step of a plan."""

    kind: str
    host: str
    at: float  # seconds since the scenario began
    lasts: float
    operations: int | None = None
    in_plan: bool = False  # the operations are counted from the next step that the actuator begins
    amount: float = 0.5  # how much of it, of [0, 1): each kind says of what

    def __str__(self) -> str:
        """Return it in words, for a person."""
        since = " after the next step has begun" if self.in_plan else " later"
        when = "" if self.operations is None else f", {self.operations} operations{since}"
        what = f"{self.kind} ({self.amount:.2f}) on {self.host}"
        return f"{self.at:.2f} s{when}: {what} for {self.lasts:.2f} s"

    def as_json(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Stage:
    """All that a fault may be brought upon."""

    world: World
    profile: Profile
    actuator: Actuator
    chain: Chain
    fences: Fences

    @property
    def home(self) -> Host:
        """The actuator's host."""
        return self.world.hosts[self.world.home]


# Brings a fault until its `yield`, and ends it afterwards.
Course = Callable[[Stage, Host, Fault], Iterator[None]]

KINDS: dict[str, Course] = {}
WEIGHTS: dict[str, int] = {}  # how often a kind is drawn


def fault(*, weight: int = 2) -> Callable[[Course], Course]:
    """Enter a kind of fault in the table, under the name of its function."""

    def enter(course: Course) -> Course:
        name = course.__name__
        KINDS[name], WEIGHTS[name] = course, weight
        return course

    return enter

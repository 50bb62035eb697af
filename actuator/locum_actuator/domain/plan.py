"""What a decision comes to: a plan, with its steps and its reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "nothing", "adopt", "keep_looking", "refuse", "record", "respawn", "claim", "release", "takeover",
    "switchover", "failback",
]  # fmt: skip
StepName = Literal["respawn", "release", "fence", "confirm", "start", "claim", "prove", "stop", "mirror"]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a plan, on one host."""

    name: StepName
    host: str

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do and why. `code` is one short word for metrics; `target` is the host the plan makes the holder."""

    kind: Kind
    code: str
    reason: str
    steps: tuple[PlannedStep, ...] = ()
    target: str | None = None
    would: tuple[
        PlannedStep, ...
    ] = ()  # what would be done, were it not for observe mode, a pause or a brake

    @property
    def acts(self) -> bool:
        """Tell whether the plan touches anything."""
        return bool(self.steps)


Verb = Literal["switchover", "failback"]


@dataclass(frozen=True, slots=True)
class Move:
    """What is asked for, and by whom."""

    verb: Verb
    target: str | None = None  # None: the preferred host for a failback, else the first that could
    asked_by: str | None = None  # a person, in words; None: locum itself (`failback: auto`)
    reason: str = ""
    despite_pause: bool = False
    discard_changes_on: str | None = None  # whose changes a person gives up where both sides changed

    def __str__(self) -> str:
        who = self.asked_by or "locum itself"
        where = f" to {self.target}" if self.target else ""
        return f"{self.verb}{where}, asked for by {who}{f': {self.reason}' if self.reason else ''}"

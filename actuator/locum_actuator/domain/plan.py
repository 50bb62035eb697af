"""The result of a decision: a plan with its steps and its reason."""

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
    """A plan and its reason. `code` is a short word for metrics; `target` is the host that becomes the holder."""

    kind: Kind
    code: str
    reason: str
    steps: tuple[PlannedStep, ...] = ()
    target: str | None = None
    would: tuple[PlannedStep, ...] = ()  # the steps that observe mode, a pause or a brake holds back

    @property
    def acts(self) -> bool:
        """Return whether the plan has steps."""
        return bool(self.steps)


Verb = Literal["switchover", "failback"]


@dataclass(frozen=True, slots=True)
class Move:
    """A planned move: what was requested, and by whom."""

    verb: Verb
    target: str | None = None  # None: the preferred host for a failback, otherwise the first able host
    asked_by: str | None = None  # a person, in words; None: locum itself (`failback: auto`)
    reason: str = ""
    despite_pause: bool = False
    discard_changes_on: str | None = None  # the host whose changes a person gives up if both sides changed

    def __str__(self) -> str:
        who = self.asked_by or "locum itself"
        where = f" to {self.target}" if self.target else ""
        return f"{self.verb}{where}, asked for by {who}{f': {self.reason}' if self.reason else ''}"

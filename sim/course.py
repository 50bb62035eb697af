"""What locum did in one scenario, in the simulator or in the lab, in the form in which the two are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Self

# Results of a step; rows that say that it began, or that a question was repeated, are left out.
_RESULTS = frozenset({"done", "already", "failed", "undone", "undo_failed"})
_QUESTIONS = frozenset({"confirm", "prove"})  # asked once or more, as answers age


@dataclass(frozen=True, slots=True)
class Drawn:
    """One fault that both can bring. Times are seconds since the first moment at which one may come."""

    kind: str
    host: str
    begins: float
    heals: float

    def __str__(self) -> str:
        """Return it in words, for a person."""
        return f"{self.kind} {self.host} from {self.begins:.2f} to {self.heals:.2f} s"


@dataclass(frozen=True, slots=True)
class IncidentCourse:
    """One incident that acted: its outcome, and its steps in order with their results."""

    outcome: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        """Return it in words, for a person."""
        return f"{self.outcome}: {', '.join(self.steps)}"


@dataclass(frozen=True, slots=True)
class Course:
    """One scenario."""

    incidents: tuple[IncidentCourse, ...]
    served_by: str | None  # at the end
    seconds_without_service: float

    def as_json(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """Return it of such values."""
        incidents = tuple(IncidentCourse(one["outcome"], tuple(one["steps"])) for one in values["incidents"])
        return cls(incidents, values["served_by"], values["seconds_without_service"])


def incidents(rows: Iterable[Mapping[str, Any]]) -> tuple[IncidentCourse, ...]:
    """Return the incidents that acted, from the journal's rows with their events."""
    found = (IncidentCourse(str(row["outcome"]), tuple(_steps(row["events"]))) for row in rows)
    return tuple(one for one in found if one.steps)


def _steps(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield each step with its result; a question that is repeated with the same result counts once."""
    done = [event for event in events if event["step"] is not None and event["kind"] in _RESULTS]
    words = [(f"{event['step']} {event['host']} {event['kind']}", event["step"]) for event in done]
    for (text, step), repeated in groupby(words):
        yield from [text] if step in _QUESTIONS else [text for _ in repeated]

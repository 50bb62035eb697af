"""Every call that logs names its event, and docs/logs.md lists each with its levels and its fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEVELS = ("debug", "info", "warning", "error", "critical")
VERBS = (*LEVELS, "exception", "log")
OF_EVERY_LINE = {"event", "service", "incident"}


@dataclass(frozen=True)
class Call:
    """One call that logs: where, and what its line bears. No level where it is reckoned."""

    where: str
    event: str
    level: str | None
    fields: frozenset[str]


def _calls() -> Iterator[Call]:
    for folder in ("inventory", "exporter", "actuator"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text()
            if not re.search(rf"\blog\.({'|'.join(VERBS)})\(", source):
                continue  # to parse a file takes longer
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Call) and _logs(node.func):
                    yield _call(node, f"{path.relative_to(ROOT)}:{node.lineno}")


def _logs(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr not in VERBS:
        return False
    whose = function.value
    return (whose.id if isinstance(whose, ast.Name) else getattr(whose, "attr", "")) == "log"


def _call(node: ast.Call, where: str) -> Call:
    verb = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    level = {"exception": "error", "log": None}.get(verb, verb)
    extra = next((word.value for word in node.keywords if word.arg == "extra"), None)
    assert isinstance(extra, ast.Dict), f"{where}: has no extra with its event"
    names = [str(key.value) for key in extra.keys if isinstance(key, ast.Constant)]
    values = dict(zip(names, [v for k, v in zip(extra.keys, extra.values, strict=True) if k], strict=True))
    event = values["event"]
    assert isinstance(event, ast.Constant), f"{where}: its event is no word"
    fields = set(names) | ({"step", "host"} if None in extra.keys else set())  # **_of(spec)
    return Call(where, str(event.value), level, frozenset(fields - OF_EVERY_LINE))


CALLS = list(_calls())


def _documented() -> dict[str, tuple[set[str], set[str]]]:
    """Return by event the levels and the fields that docs/logs.md names."""
    rows = re.findall(
        r"^\| `(\w+)` \| ([\w, ]+) \|(.*?)\| ", (ROOT / "docs/logs.md").read_text(), re.MULTILINE
    )
    assert len({event for event, *_ in rows}) == len(rows), "an event has two rows"
    return {
        event: (set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields)))
        for event, levels, fields in rows
    }


def test_there_are_calls_to_look_at() -> None:
    assert len(CALLS) > 40


def test_every_event_is_documented_and_no_other() -> None:
    assert set(_documented()) == {call.event for call in CALLS}


@pytest.mark.parametrize("event", sorted({call.event for call in CALLS}))
def test_an_event_is_as_documented(event: str) -> None:
    levels, fields = _documented().get(event, (set(), set()))
    calls = [call for call in CALLS if call.event == event]
    fixed = {call.level for call in calls if call.level is not None}
    assert fixed <= levels <= set(LEVELS)
    if all(call.level is not None for call in calls):
        assert levels == fixed
    assert fields == set().union(*(call.fields for call in calls))

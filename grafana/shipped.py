"""The dashboards as shipped, and every query in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = {path.stem: path for path in sorted((Path(__file__).parent / "dashboards").glob("*.json"))}
DASHBOARDS: dict[str, dict[str, Any]] = {
    name: json.loads(path.read_text(encoding="utf-8")) for name, path in FILES.items()
}
_MARK_SECONDS = 1  # what marks are about is scraped once a second


@dataclass(frozen=True, slots=True)
class ShippedQuery:
    """One query, where it is, and whether it is an instant query."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    instant: bool
    interval_seconds: int  # the shortest step that Grafana takes
    labels: frozenset[str]  # what is shown of a series besides its value

    @property
    def name(self) -> str:
        """The name shown to people: dashboard, panel, letter."""
        return f"{self.dashboard}: {self.panel}: {self.ref}"

    def filled(self, values: Mapping[str, str], step_seconds: float = 0.0) -> str:
        """Return the expression with its variables replaced; `values` has those that are not of its own.

        The window of a rate is four steps at least, as in Grafana's Prometheus data source.
        """
        shortest = self.interval_seconds
        step = max(step_seconds, shortest)
        rate = max(step + shortest, 4 * shortest)
        own = {"$__interval": f"{step * 1000:.0f}ms", "$__rate_interval": f"{rate * 1000:.0f}ms"}
        return fill(self.expr, {**values, **own})


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its variables replaced, the longest names first."""
    for variable in sorted(values, key=len, reverse=True):
        text = text.replace(variable, values[variable])
    return text


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every panel but the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries_of(name: str, panel: Mapping[str, Any]) -> list[ShippedQuery]:
    """Return the queries of one panel of the dashboard `name`."""
    if not panel.get("targets"):
        return []
    seconds = int(panel["interval"].removesuffix("s"))
    return [
        ShippedQuery(
            name, panel["title"], target["refId"], target["expr"], target["instant"], seconds,
            _named(target["legendFormat"]) | _columns(panel),
        )
        for target in panel["targets"]
    ]  # fmt: skip


def marks_of(name: str) -> list[ShippedQuery]:
    """Return the queries of a dashboard's marks."""
    return [
        ShippedQuery(
            name, f"mark '{mark['name']}'", "A", mark["expr"], False, _MARK_SECONDS,
            _named(mark["textFormat"]),
        )
        for mark in DASHBOARDS[name]["annotations"].get("list", [])
    ]  # fmt: skip


def _queries() -> Iterator[ShippedQuery]:
    for name, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            yield from queries_of(name, panel)
        yield from marks_of(name)


def _named(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"{{(\w+)}}", text))


def _columns(panel: Mapping[str, Any]) -> frozenset[str]:
    fields = [
        field
        for step in panel.get("transformations", [])
        if step["id"] == "filterFieldsByName"
        for field in step["options"]["include"]["names"]
    ]
    return frozenset(field for field in fields if not field.startswith("Value"))


QUERIES = list(_queries())

"""The dashboards as they are shipped, and every query in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILES = {path.stem: path for path in sorted((ROOT / "grafana" / "dashboards").glob("*.json"))}
DASHBOARDS: dict[str, dict[str, Any]] = {name: json.loads(path.read_text()) for name, path in FILES.items()}

# What Grafana puts in place of a variable: a service of the lab, and a window of a viewer's choice.
VALUES = {
    "${datasource}": "locum",
    "$service": "www",
    "$__range": "600s",
}


@dataclass(frozen=True, slots=True)
class ShippedQuery:
    """One query, where it stands, and whether it is asked for now alone."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    instant: bool
    rate_seconds: int  # the shortest window that Grafana takes for a rate
    labels: frozenset[str]  # what is shown of a series besides its value

    @property
    def name(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.ref}"

    @property
    def filled(self) -> str:
        text = self.expr
        values = {**VALUES, "$__rate_interval": f"{self.rate_seconds}s"}
        for variable, value in values.items():
            text = text.replace(variable, value)
        return text


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Every panel but the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def _queries() -> Iterator[ShippedQuery]:
    for name, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                seconds = int(panel["interval"].removesuffix("s"))
                yield ShippedQuery(
                    name, panel["title"], target["refId"], target["expr"], target["instant"], 4 * seconds,
                    _named(target["legendFormat"]) | _columns(panel),
                )  # fmt: skip
        for annotation in dashboard["annotations"].get("list", []):
            title, labels = f"mark '{annotation['name']}'", _named(annotation["textFormat"])
            yield ShippedQuery(name, title, "A", annotation["expr"], False, 5 + 1, labels)


def _named(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"{{(\w+)}}", text))


def _columns(panel: dict[str, Any]) -> frozenset[str]:
    fields = [
        field
        for step in panel.get("transformations", [])
        if step["id"] == "filterFieldsByName"
        for field in step["options"]["include"]["names"]
    ]
    return frozenset(field for field in fields if not field.startswith("Value"))


QUERIES = list(_queries())

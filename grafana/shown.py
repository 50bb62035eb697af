"""Values as a picture shows them: units, the words and colours of states, the names of series."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana import palette

INK, FAINT, PAPER, BOARD = "#24292e", "#6e7681", "#ffffff", "#f4f5f5"
_OTHERS = ("#3274d9", "#e55400", "#a352cc", "#1b855e", "#8f3bb8", "#b88a00", "#6e7681", "#1f60c4")
_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))


@dataclass(frozen=True, slots=True)
class Look:
    """The style of a line: its colour, and dashes as matplotlib takes them."""

    color: str
    dashes: tuple[float, ...] = ()


def shade(name: str) -> str:
    """Return the colour of one of Grafana's colour names in its light theme."""
    return palette.SHADES["light"].get(name, name)


def text_of(value: float, unit: str | None, decimals: int | None = None) -> str:
    """Return a number with its unit, as short as Grafana would."""
    if math.isnan(value):
        return "-"
    if unit == "s":
        for size, name in _STEPS:
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return "0 s"
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f} %"
    if unit == "bytes":
        for size, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.0f} B"
    return f"{value:.3g}{' c/s' if unit == 'cps' else ''}" if abs(value) < 1000 else f"{value:.0f}"


def state(mappings: Sequence[Mapping[str, Any]], value: float) -> tuple[str, str] | None:
    """Return the word and the colour of a state; None where the value has no word."""
    for mapping in mappings:
        options = mapping["options"]
        if mapping["type"] == "value":
            result = options.get(f"{value:g}")
            if result is not None:
                return result["text"], shade(result["color"])
        elif options["from"] <= value <= options["to"]:
            return options["result"]["text"], shade(options["result"]["color"])
    return None


def name_of(legend: str, labels: Mapping[str, str]) -> str:
    """Return a series' name: its legend with the labels filled in."""
    if legend == "__auto":
        return ", ".join(f"{value}" for key, value in sorted(labels.items()) if key != "__name__")
    filled = re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend)
    return " ".join(filled.split())


def look_of(panel: Mapping[str, Any], name: str, number: int) -> Look:
    """Return the style of the line of this name; `number` counts those that have no style of their own."""
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["id"] == "byRegexp" and re.search(override["matcher"]["options"][1:-1], name):
            properties = {one["id"]: one["value"] for one in override["properties"]}
            dashes = properties["custom.lineStyle"].get("dash", [])
            return Look(shade(properties["color"]["fixedColor"]), tuple(length / 3 for length in dashes))
    return Look(_OTHERS[number % len(_OTHERS)], ((), (4, 2), (1, 1.5))[number // len(_OTHERS) % 3])


def wrong_from(panel: Mapping[str, Any]) -> float | None:
    """Return the value from which a panel's numbers are wrong, if it has one."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    values = [step["value"] for step in steps if step["value"] is not None]
    return float(values[0]) if values else None

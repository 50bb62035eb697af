"""The colours of the dashboards, and their meaning.

Blue is ok, orange needs attention, purple is neither, grey is idle. Blue and orange stay apart for people who
cannot tell red from green, and Grafana has a shade of each for light and for dark. No panel depends on
colour alone: states have a word, lines a name in the legend, and lines with a known name a pattern too.
"""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.models import dashboard

WELL, WRONG, OTHER, REST = "blue", "dark-orange", "purple", "#8e8e8e"

# The colours behind Grafana's names. Source: packages/grafana-data, createVisualizationColors.ts.
SHADES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "blue": "#3274D9",
        "dark-orange": "#E55400",
        "purple": "#A352CC",
        "light-blue": "#5794F2",
        "semi-dark-green": "#37872D",
        "light-purple": "#B877D9",
        "semi-dark-blue": "#1F60C4",
    },
    "dark": {
        "blue": "#5794F2",
        "dark-orange": "#FA6400",
        "purple": "#B877D9",
        "light-blue": "#8AB8FF",
        "semi-dark-green": "#56A64B",
        "light-purple": "#CA95E5",
        "semi-dark-blue": "#3274D9",
    },
}

# Colour and dashes (lengths of line and gap) of the first, second, ... line that is known by name.
LINES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("blue", ()),
    ("dark-orange", (10, 6)),
    ("purple", (2, 6)),
    ("light-blue", (20, 6)),
    ("semi-dark-green", (10, 4, 2, 4)),
    ("light-purple", (6, 6)),
    ("semi-dark-blue", (2, 4, 10, 4)),
)


def words(states: Mapping[str, tuple[str, str]], many: str | None = None) -> list[dashboard.ValueMapping]:
    """Return the mappings from a value to word and colour; `many` is the word for 2 and more, a wrong state."""
    found: list[dashboard.ValueMapping] = [
        dashboard.ValueMap(
            {
                value: dashboard.ValueMappingResult(text=text, color=color, index=number)
                for number, (value, (text, color)) in enumerate(states.items())
            }
        )
    ]
    if many is not None:
        result = dashboard.ValueMappingResult(text=many, color=WRONG, index=len(states))
        found.append(dashboard.RangeMap(dashboard.DashboardRangeMapOptions(2, 1e6, result)))
    return found


def pattern(number: int) -> list[dashboard.DynamicConfigValue]:
    """Return what gives a line the colour and the dashes of the `number`th known name."""
    color, dashes = LINES[number % len(LINES)]
    style = {"fill": "dash", "dash": list(dashes)} if dashes else {"fill": "solid"}
    return [
        dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color}),
        dashboard.DynamicConfigValue("custom.lineStyle", style),
    ]

"""One painter for each kind of panel: stat, state-timeline, timeseries, table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes

from grafana.palette import WELL, WRONG
from grafana.prometheus import Series, Window
from grafana.shown import FAINT, INK, look_of, name_of, shade, state, text_of, wrong_from

Answers = Mapping[str, Sequence[Series]]  # by the letter of the query
SMALL, NORMAL = 7.5, 8.5
_GAP_STEPS = 2.5  # a pause between two points of more steps than that is drawn as one
_CHARACTER_SHARE = 0.62  # of a letter's height: how wide it is


def paint_stat(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    """Write one big value or word."""
    axes.axis("off")
    defaults, (series,) = panel["fieldConfig"]["defaults"], answers.values()
    text, color = str(defaults.get("noValue", "no data")), FAINT
    found = [one for one in series if one.has_a_number]
    if found:
        value, bad_from = found[0].points[-1][1], wrong_from(panel)
        color = shade(WRONG if bad_from is not None and value >= bad_from else WELL)
        if panel["options"]["textMode"] == "name":
            text = ", ".join(name_of(panel["targets"][0]["legendFormat"], one.labels) for one in found)
        elif (word := state(defaults.get("mappings", []), value)) is not None:
            text, color = word
        else:
            text = text_of(value, defaults.get("unit"), defaults.get("decimals"))
    size = 19 if len(text) < 9 else 13
    axes.text(0.5, 0.45, text, ha="center", va="center", fontsize=size, fontweight="bold", color=color)


def paint_timeline(axes: Axes, panel: Mapping[str, Any], answers: Answers, window: Window) -> None:
    """Draw states over time, one row a series, each with its word where there is room."""
    mappings = panel["fieldConfig"]["defaults"]["mappings"]
    rows = sorted(_named(panel, answers), key=lambda row: row[0])
    seconds_a_letter = window.seconds * SMALL * _CHARACTER_SHARE / 72 / _inches_wide(axes)
    for number, (_, series) in enumerate(rows):
        for begin, end, value in _stretches(series, window):
            word, color = state(mappings, value) or (f"{value:g}", FAINT)
            axes.barh(number, end - begin, left=begin, height=0.72, color=color, linewidth=0)
            if len(word) * seconds_a_letter < end - begin:
                axes.text(
                    begin + seconds_a_letter * 0.7, number, word, color="white", fontsize=SMALL, va="center"
                )
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=SMALL)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    _time_axis(axes, window)


def paint_lines(axes: Axes, panel: Mapping[str, Any], answers: Answers, window: Window) -> None:
    """Draw numbers over time, each with its name and last value in the legend."""
    defaults = panel["fieldConfig"]["defaults"]
    unit, custom = defaults.get("unit"), defaults["custom"]
    rows = sorted(_named(panel, answers), key=lambda row: row[0])
    stepped = custom.get("lineInterpolation") == "stepAfter"
    below: dict[float, float] = {}
    for number, (name, series) in enumerate(rows):
        look, points = look_of(panel, name, number), series.points
        if custom.get("stacking", {}).get("mode") == "normal":
            points = [(at, value + below.get(at, 0.0)) for at, value in points]
            bottom = [below.get(at, 0.0) for at, _ in points]
            axes.fill_between(
                [at for at, _ in points], bottom, [v for _, v in points], color=look.color, alpha=0.2
            )
            below.update(points)
        (line,) = axes.plot(
            [at for at, _ in points], [value for _, value in points], color=look.color, linewidth=1.6,
            drawstyle="steps-post" if stepped else "default", marker="o", markersize=1.8,
            label=f"{name}: {text_of(series.points[-1][1], unit)}",
        )  # fmt: skip
        if look.dashes:
            line.set_dashes(look.dashes)
    bad_from = wrong_from(panel)
    if bad_from is not None:
        axes.axhline(bad_from, color=shade(WRONG), linewidth=1, linestyle="--")
    axes.set_ylim(bottom=0, top=None if rows and axes.get_ylim()[1] > 0 else 1)
    axes.yaxis.set_major_formatter(lambda value, _: text_of(value, unit))
    axes.locator_params(axis="y", nbins=4, integer=defaults.get("decimals") == 0)
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.6)
    _time_axis(axes, window)
    if rows:
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2 if len(rows) < 7 else 3, fontsize=SMALL - 1,
            frameon=False, handlelength=2.6, columnspacing=1.2, borderpad=0, labelspacing=0.25,
        )  # fmt: skip
    else:
        _say(axes, "no data")


def paint_table(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    """Write a table of the current values."""
    axes.axis("off")
    titles, rows = _cells(panel, answers)
    if not rows:
        _say(axes, str(panel["fieldConfig"]["defaults"].get("noValue", "none")))
        return
    widths = [
        max(len(str(row[n][0])) for row in [[(title, INK) for title in titles], *rows]) + 3
        for n in range(len(titles))
    ]
    lefts = [sum(widths[:n]) / sum(widths) for n in range(len(widths))]
    step = min(0.24, 0.9 / (len(rows) + 1))
    for left, title in zip(lefts, titles, strict=True):
        axes.text(left, 0.9, title, fontsize=SMALL, color=FAINT, va="top")
    for number, row in enumerate(rows, 1):
        axes.axhline(0.97 - number * step, color="#e4e7eb", linewidth=0.6)
        for left, (text, color) in zip(lefts, row, strict=True):
            axes.text(left, 0.9 - number * step, text, fontsize=NORMAL, color=color, va="top")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _cells(panel: Mapping[str, Any], answers: Answers) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Join the answers as Grafana's transformation `merge` does: rows that agree in the labels all have."""
    (renamed,) = (one["options"] for one in panel["transformations"] if one["id"] == "organize")
    fields = sorted(renamed["indexByName"], key=renamed["indexByName"].__getitem__)
    names = {field: renamed["renameByName"][field] for field in fields}
    keys = set.intersection(*[set(one.labels) for series in answers.values() for one in series] or [set()])
    merged: dict[tuple[str, ...], dict[str, Any]] = {}
    for letter, series in answers.items():
        field = "Value" if len(answers) == 1 else f"Value #{letter}"
        for one in series:
            key = tuple(one.labels[label] for label in sorted(keys))
            merged.setdefault(key, {}).update({**one.labels, field: one.points[-1][1]})
    overrides = {
        one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]}
        for one in panel["fieldConfig"]["overrides"]
        if one["matcher"]["id"] == "byName"
    }
    rows = [
        [_cell(row.get(field), overrides.get(title, {})) for field, title in names.items()]
        for _, row in sorted(merged.items())
    ]
    return list(names.values()), rows


def _cell(value: Any, field: Mapping[str, Any]) -> tuple[str, str]:
    if not isinstance(value, float):
        return value or "", INK
    word = state(field.get("mappings", []), value)
    return word if word is not None else (text_of(value, field.get("unit")), INK)


def _named(panel: Mapping[str, Any], answers: Answers) -> Iterator[tuple[str, Series]]:
    for target in panel["targets"]:
        for one in answers[target["refId"]]:
            if one.has_a_number:
                yield name_of(target["legendFormat"], one.labels), one


def _stretches(series: Series, window: Window) -> Iterator[tuple[float, float, float]]:
    """Yield (begin, end, value) for as long as the value stays the same and points follow each other."""
    points = series.points
    steps = [later - sooner for (sooner, _), (later, _) in pairwise(points)]
    step = min(steps, default=1.0)
    begin, value = points[0]
    for (at, _), (next_at, next_value) in pairwise(points):
        if next_value != value or next_at - at > _GAP_STEPS * step:
            yield begin, min(next_at, at + _GAP_STEPS * step), value
            begin, value = next_at, next_value
    yield begin, min(points[-1][0] + step, window.end), value


def _time_axis(axes: Axes, window: Window) -> None:
    axes.set_xlim(window.begin, window.end)
    axes.locator_params(axis="x", nbins=max(3, round(_inches_wide(axes))))
    pattern = "%H:%M:%S" if window.seconds < 600 else "%H:%M" if window.seconds < 2 * 86400 else "%d %b"
    axes.xaxis.set_major_formatter(lambda at, _: datetime.fromtimestamp(at, UTC).strftime(pattern))
    axes.tick_params(axis="both", labelsize=SMALL, colors=FAINT)
    for label in axes.get_yticklabels():
        label.set_color(INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#d0d5da")


def _inches_wide(axes: Axes) -> float:
    return float(axes.get_window_extent().width / axes.figure.dpi)


def _say(axes: Axes, text: str) -> None:
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=FAINT, fontsize=NORMAL
    )

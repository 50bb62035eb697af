"""A dashboard on paper: its panels where its grid has them, its marks, and a line that states how it was drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from grafana.frame import GRID_COLUMNS
from grafana.painters import SMALL, Answers, paint_lines, paint_stat, paint_table, paint_timeline
from grafana.prometheus import Series, Window
from grafana.shown import BOARD, FAINT, INK, PAPER, name_of, shade

WIDE_INCHES, ROW_INCHES, HEAD_INCHES, FOOT_INCHES = 12.0, 0.27, 0.55, 0.3
DOTS_PER_INCH = 110
COLORS = 128  # a picture of lines and words needs no more, and is a third as large
_GUTTER = 0.06  # inches between panels
_LETTER_INCHES = SMALL * 0.55 / 72


class Sheet:
    """The picture of some sections of a dashboard, as it is being drawn."""

    def __init__(self, title: str, panels: Sequence[Mapping[str, Any]], window: Window) -> None:
        self._window = window
        self._places = {panel["id"]: place for panel, place in _closed_up(panels)}
        rows = max((y + h for _, y, _, h in self._places.values()), default=1)
        self._tall = HEAD_INCHES + rows * ROW_INCHES + FOOT_INCHES
        self._figure = Figure(figsize=(WIDE_INCHES, self._tall), facecolor=BOARD)
        self._timed: list[Axes] = []
        self._named: list[tuple[float, str, str]] = []
        self._write(0.12, self._tall - 0.3, title, size=15, weight="bold")
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (window.begin, window.end))
        period = f"{begin:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC"
        self._write(WIDE_INCHES - 0.12, self._tall - 0.3, period, right=True)
        self._write(0.12, 0.1, "Drawn by grafana.draw from the dashboard's own queries, not by Grafana.")

    def heading(self, row: Mapping[str, Any]) -> None:
        """Write the heading of a section."""
        x, y, _, _ = self._places[row["id"]]
        self._write(0.12 + x, self._top(y) - 0.2, row["title"], size=10, weight="bold")

    def panel(self, panel: Mapping[str, Any], answers: Answers) -> None:
        """Draw a panel with what Prometheus answered, by the letters of its queries."""
        x, y, w, h = self._places[panel["id"]]
        left, wide = x * WIDE_INCHES / GRID_COLUMNS + _GUTTER, w * WIDE_INCHES / GRID_COLUMNS - 2 * _GUTTER
        bottom, tall = self._top(y + h) + _GUTTER, h * ROW_INCHES - 2 * _GUTTER
        frame = Rectangle(self._share(left, bottom), wide / WIDE_INCHES, tall / self._tall)
        frame.set(
            facecolor=PAPER, edgecolor="#e0e3e6", linewidth=0.8, zorder=-1, transform=self._figure.transFigure
        )
        self._figure.add_artist(frame)
        self._write(left + 0.08, bottom + tall - 0.2, panel["title"], weight="bold", size=8)
        kind = panel["type"]
        margins = {"stat": (0.0, 0.0, 0.15), "table": (0.12, 0.02, 0.25)}.get(kind)
        if margins is None:
            letters = max((len(name) for name in _names(panel, answers)), default=0)
            names = 0.15 + letters * _LETTER_INCHES if kind == "state-timeline" else 0.65
            below = 0.26 if kind == "state-timeline" else 0.3 + 0.13 * _legend_rows(answers)
            margins = (names, below, 0.3)
        before, below, above = margins
        width, height = wide - before - 0.12, max(0.1, tall - below - above)
        axes = self._figure.add_axes(
            (*self._share(left + before, bottom + below), width / WIDE_INCHES, height / self._tall)
        )
        axes.set_facecolor(PAPER)
        if kind == "stat":
            paint_stat(axes, panel, answers)
        elif kind == "table":
            paint_table(axes, panel, answers)
        else:
            (paint_timeline if kind == "state-timeline" else paint_lines)(axes, panel, answers, self._window)
            self._timed.append(axes)

    def marks(self, name: str, color: str, series: Sequence[Series], step_seconds: float) -> None:
        """Draw what happened into every panel that has a course of time, and its name into the first."""
        for begin in _begun(series, self._window, step_seconds):
            for axes in self._timed:
                axes.axvline(begin, color=shade(color), linewidth=1.1, linestyle=(0, (2, 2)), zorder=0.5)
            self._named.append((begin, name, shade(color)))

    def _name_marks(self) -> None:
        """Write the marks' names above the first course of time, on two lines where they come close."""
        first = self._timed[0]
        seconds_a_letter = self._window.seconds * _LETTER_INCHES / (WIDE_INCHES * first.get_position().width)
        free_from = [float("-inf")] * 2  # of each line
        for begin, name, color in sorted(self._named):
            line = 0 if begin >= free_from[0] else 1
            free_from[line] = begin + (len(name) + 2) * seconds_a_letter
            first.annotate(
                name, (begin, 1), xycoords=("data", "axes fraction"), xytext=(2, 2 + 9 * line),
                textcoords="offset points", fontsize=SMALL, color=color,
            )  # fmt: skip

    def png(self) -> bytes:
        """Return the picture."""
        if self._timed:
            self._name_marks()
        full, small = io.BytesIO(), io.BytesIO()
        self._figure.savefig(full, dpi=DOTS_PER_INCH, format="png", pil_kwargs={"compress_level": 0})
        picture = Image.open(full).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        picture.save(small, format="PNG", optimize=True)
        return small.getvalue()

    def _top(self, row: float) -> float:
        return self._tall - HEAD_INCHES - row * ROW_INCHES

    def _share(self, x: float, y: float) -> tuple[float, float]:
        return x / WIDE_INCHES, y / self._tall

    def _write(
        self, x: float, y: float, text: str, *, size: float = 8.5, weight: str = "normal", right: bool = False
    ) -> None:
        self._figure.text(
            *self._share(x, y), text, fontsize=size, fontweight=weight, ha="right" if right else "left",
            color=INK if weight == "bold" else FAINT,
        )  # fmt: skip


def _closed_up(
    panels: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[Mapping[str, Any], tuple[int, int, int, int]]]:
    """Yield panels with their places, sections that were left out closed up."""
    used = sorted(
        {
            row
            for one in panels
            for row in range(one["gridPos"]["y"], one["gridPos"]["y"] + one["gridPos"]["h"])
        }
    )
    rank = {row: number for number, row in enumerate(used)}
    for panel in panels:
        place = panel["gridPos"]
        yield panel, (place["x"], rank[place["y"]], place["w"], place["h"])


def _begun(series: Sequence[Series], window: Window, step_seconds: float) -> list[float]:
    """Return when each stretch of a mark's series began; what began before the window is left out."""
    found = []
    for one in series:
        before = window.begin
        for at, _ in one.points:
            if at - before > 1.5 * step_seconds:
                found.append(at)
            before = at
    return found


def _names(panel: Mapping[str, Any], answers: Answers) -> list[str]:
    return [
        name_of(target["legendFormat"], one.labels)
        for target in panel["targets"]
        for one in answers[target["refId"]]
    ]


def _legend_rows(answers: Answers) -> int:
    count = sum(len(series) for series in answers.values())
    return -(-count // (2 if count < 7 else 3))

"""Draw incidents of a journal as SVG files for the documents: `python -m tools.incident_diagram FILE.json …`.

Each file has one incident as `locum incident NUMBER --json` prints it; the picture is written next to it, as
FILE.svg. The actuator's page draws the same picture, but as a part of its HTML, with its style sheet and for a
browser of any width. A document needs a file of a fixed size that carries its own colours and its words, so that
GitHub shows it and a screen reader reads it. This is in tools/ because only the documents need it; locum never
calls it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from locum_actuator.journal.incident_summary import sentence, title
from locum_actuator.page.incident_timeline import Mark, Timeline, draw

WIDTH, LABELS, TIMES, MARGIN = 900, 250, 90, 16  # pixels: all, the column of names, that of times, the border
HEAD, ROW, FOOT = 84, 28, 16
COLOURS = {
    "alert": "#8a5300",
    "decided": "#5b4b9a",
    "done": "#0072b2",
    "failed": "#b3261e",
    "other": "#56636f",
}
_SAME = {"already": "done", "refused": "failed", "hook": "decided", "resumed": "decided"}
_FONT = "system-ui, sans-serif"


def svg(incident: Mapping[str, Any]) -> str:
    """Return the picture of an incident that is over: a row for each alert, decision and step."""
    if incident["closed_at"] is None:
        raise ValueError(f"incident {incident['id']} is still open")
    timeline = draw(incident, incident["closed_at"])
    height = HEAD + ROW * len(timeline.marks) + FOOT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-labelledby="title words" font-family="{_FONT}" font-size="13">',
            f'<title id="title">{escape(title(incident))}</title>',
            f'<desc id="words">{escape(_description(incident, timeline))}</desc>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text(MARGIN, 28, title(incident), size=17, weight=600),
            _text(
                MARGIN, 48, f"{_long(timeline.seconds)} from the first moment to the last", colour="#56636f"
            ),
            *_scale(timeline, height),
            *(line for row, mark in enumerate(_in_order(timeline)) for line in _row(row, mark)),
            "</svg>\n",
        ]
    )


def _description(incident: Mapping[str, Any], timeline: Timeline) -> str:
    """Return the picture in words."""
    rows = "; ".join(
        f"after {_long(mark.after_seconds)} {_name(mark)}: {mark.words}" for mark in _in_order(timeline)
    )
    return f"{sentence(incident)} {rows}."


def _scale(timeline: Timeline, height: int) -> Iterator[str]:
    for percent, seconds in timeline.ticks:
        x = _x(percent)
        yield f'<line x1="{x}" x2="{x}" y1="{HEAD - 8}" y2="{height - FOOT}" stroke="#d5dbe1"/>'
        yield _text(
            x, HEAD - 14, _long(seconds) if seconds else "0", colour="#56636f", size=11, anchor="middle"
        )
    for cut in timeline.cuts:
        x, width = _x(cut.begin), round(_x(cut.end) - _x(cut.begin), 1)
        yield (
            f'<rect x="{x}" width="{width}" y="{HEAD - 8}" height="{height - FOOT - HEAD + 8}" fill="#eef1f4"/>'
        )
        yield _text(x + width / 2, HEAD - 14, _long(cut.seconds), colour="#56636f", size=11, anchor="middle")


def _row(row: int, mark: Mark) -> Iterator[str]:
    middle = HEAD + ROW * row + ROW // 2
    kind = _SAME.get(mark.kind, mark.kind)
    colour = COLOURS.get(kind, COLOURS["other"])
    begin, end = _x(mark.begin), _x(mark.end)
    yield f"<g><title>{escape(mark.words)}</title>"
    yield _text(
        LABELS, middle + 4, _name(mark), anchor="end", colour=colour if kind == "failed" else "#1c2329"
    )
    if end > begin:
        width = max(2.0, round(end - begin, 1))
        yield f'<rect x="{begin}" width="{width}" y="{middle - 7}" height="14" rx="2" fill="{colour}"/>'
    else:
        yield f'<circle cx="{begin}" cy="{middle}" r="6" fill="{colour}"/>'
    took = mark.after_seconds if mark.took_seconds is None else mark.took_seconds
    words = f"at {_long(took)}" if mark.took_seconds is None else _long(took)
    yield _text(WIDTH - MARGIN, middle + 4, words, anchor="end", colour="#56636f")
    yield "</g>"


def _in_order(timeline: Timeline) -> list[Mark]:
    return sorted(timeline.marks, key=lambda mark: mark.begin)


def _name(mark: Mark) -> str:
    if mark.kind == "decided":
        return f"decision: {mark.label}"
    return f"{mark.label} {mark.kind}" if mark.kind in {"failed", "broken", "running"} else mark.label


def _x(percent: float) -> float:
    """Return where a share of the whole time lies, in pixels."""
    begin, end = LABELS + MARGIN, WIDTH - MARGIN - TIMES
    return round(begin + (end - begin) * percent / 100, 1)


def _text(
    x: float,
    y: float,
    words: str,
    *,
    colour: str = "#1c2329",
    size: int = 13,
    weight: int = 400,
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{round(x, 1)}" y="{y}" fill="{colour}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def _long(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{round(seconds, 2):g} s" if seconds < 60 else f"{seconds:.0f} s"


def main(words: Sequence[str]) -> int:
    """Write the picture of each file; return 1 where one cannot be drawn."""
    if not words:
        print("usage: python -m tools.incident_diagram FILE.json …", file=sys.stderr)
        return 2
    for name in words:
        path = Path(name)
        try:
            picture = svg(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as fault:
            print(
                f"{path}: {fault!r} (is this one incident, from `locum incident NUMBER --json`?)",
                file=sys.stderr,
            )
            return 1
        path.with_suffix(".svg").write_text(picture, encoding="utf-8")
        print(path.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Draws a dashboard as a picture, from its own queries: `python -m grafana.draw --help`.

For pages that cannot show a Grafana, such as a README. It is not drawn by Grafana, and the picture states that.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grafana.prometheus import Prometheus, PrometheusError, Window, add_options, variables
from grafana.sheet import Sheet
from grafana.shipped import DASHBOARDS, marks_of, queries_of

DRAWABLE = tuple(name for name in DASHBOARDS if name != "runbook")
_POINTS = 300  # across a picture; a step is never shorter than a panel's own


def draw(
    prometheus: Prometheus, name: str, sections: Sequence[str], window: Window, service: str | None
) -> bytes:
    """Return a picture of some sections of a dashboard as PNG, or of all sections if none is named."""
    values = variables(prometheus, window, service)
    chosen = _chosen(name, sections)
    of_one = f" {values['$service']}" if name == "service" else ""
    sheet = Sheet(f"{DASHBOARDS[name]['title']}{of_one}", chosen, window)
    for panel in chosen:
        if panel["type"] == "row":
            sheet.heading(panel)
            continue
        step = max(float(panel["interval"].removesuffix("s")), window.seconds / _POINTS)
        answers = {
            query.ref: prometheus.series(query, values, window, step) for query in queries_of(name, panel)
        }
        sheet.panel(panel, answers)
    step = max(1.0, window.seconds / _POINTS)
    shown = {mark["name"]: mark for mark in DASHBOARDS[name]["annotations"]["list"]}
    for query in marks_of(name):
        mark = shown[query.panel.removeprefix("mark '").removesuffix("'")]
        sheet.marks(mark["name"], mark["iconColor"], prometheus.series(query, values, window, step), step)
    return sheet.png()


def _chosen(name: str, sections: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows and panels of these sections, in the dashboard's own order."""
    found: list[dict[str, Any]] = []
    titles, wanted = [], False
    for panel in DASHBOARDS[name]["panels"]:
        if panel["type"] == "row":
            titles.append(panel["title"])
            wanted = not sections or panel["title"] in sections
        if wanted:
            found.append(panel)
    if strange := [title for title in sections if title not in titles]:
        raise PrometheusError(f"{name} has no section '{strange[0]}': choose from {', '.join(titles)}")
    return found


def _moment(text: str) -> float:
    """Return a moment in seconds since 1970: a number, or as in 2026-11-27T02:30:00 (UTC without a zone)."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time such as 2026-11-27T02:30:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m grafana.draw", description=__doc__.split("\n", 1)[0])
    add_options(parser)
    parser.add_argument("--dashboard", choices=DRAWABLE, default="service")
    parser.add_argument(
        "--section",
        action="append",
        default=[],
        help="a section of the dashboard; repeat for more; default: all",
    )
    parser.add_argument("--service", help="for the dashboard of one service; default: the first")
    parser.add_argument("--from", dest="begin", type=_moment, metavar="TIME", help="2026-11-27T02:30:00Z")
    parser.add_argument("--to", dest="end", type=_moment, metavar="TIME", help="default: now")
    parser.add_argument("--seconds", type=float, default=600.0, help="before --to, in place of --from")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.png")
    options = parser.parse_args(words)
    options.end = time.time() if options.end is None else options.end
    options.begin = options.end - options.seconds if options.begin is None else options.begin
    if not 1 <= options.end - options.begin <= 30 * 86400:
        parser.error("--from must be a second to 30 days before --to")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Draw, and return the exit code: 2 if Prometheus gave no answer, 1 if the file cannot be written."""
    options = _arguments(words)
    try:
        with Prometheus(options.prometheus, options.password_file, options.ca_file) as prometheus:
            window = Window(options.begin, options.end)
            picture = draw(prometheus, options.dashboard, options.section, window, options.service)
        options.output.write_bytes(picture)
    except PrometheusError as fault:
        print(f"grafana.draw: {fault}", file=sys.stderr)
        return 2
    except OSError as fault:
        print(f"grafana.draw: {options.output}: {fault.strerror}", file=sys.stderr)
        return 1
    print(f"wrote {options.output}, {len(picture) // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

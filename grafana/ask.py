"""Makes the queries of every panel and every loaded rule at a Prometheus: `python -m grafana.ask --help`.

Prints a table of the queries and the number of series found. Ends with 0 if nothing is empty that should not be and
every rule is evaluated, with 1 if not, and with 2 if Prometheus could not be asked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grafana.may_be_empty import PANELS
from grafana.metrics_asked import StoredMetrics
from grafana.prometheus import Prometheus, PrometheusError, Window, add_options, last, variables
from grafana.rules import RuleFound, rules
from grafana.shipped import QUERIES, ShippedQuery

# An instant query is also made a little earlier: a check that ran into its deadline at that moment
# measured nothing, and the next refresh shows it again.
_EARLIER_SECONDS = (0.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class PanelFound:
    """One query of a panel or mark: how many series it found, and why it may find none."""

    dashboard: str
    panel: str
    ref: str
    series: int
    may_be_empty: str | None

    @property
    def fault(self) -> str | None:
        """The fault, if there is one."""
        return None if self.series or self.may_be_empty else "shows nothing"


def panels(
    prometheus: Prometheus, window: Window, stored: StoredMetrics, service: str | None = None
) -> list[PanelFound]:
    """Make every query of every dashboard; raises `PrometheusError` if Prometheus refuses one."""
    values = variables(prometheus, window, service)
    return [_panel(prometheus, query, values, window, stored) for query in QUERIES]


def _panel(
    prometheus: Prometheus, query: ShippedQuery, values: dict[str, str], window: Window, stored: StoredMetrics
) -> PanelFound:
    count, excuse = 0, None
    for seconds in _EARLIER_SECONDS if query.instant else (0.0,):
        earlier = Window(window.begin - seconds, window.end - seconds)
        count = sum(one.has_a_number for one in prometheus.series(query, values, earlier))
        if count:
            break
    if not count:
        excuse = "; ".join(stored.excuses(query.filled(values))) or PANELS.get(query.name)
    return PanelFound(query.dashboard, query.panel, query.ref, count, excuse)


def _panel_table(found: Sequence[PanelFound]) -> Table:
    table = _table("Panels and marks", "dashboard", "panel")
    for (dashboard, panel), rows in groupby(found, key=lambda one: (one.dashboard, one.panel)):
        queries = list(rows)
        letters = len(queries) > 1
        notes = [
            (f"{one.ref}: " if letters else "") + (_red(one.fault) or escape(one.may_be_empty or ""))
            for one in queries
            if not one.series
        ]
        table.add_row(dashboard, panel, " ".join(str(one.series) for one in queries), "; ".join(notes))
    return table


def _rule_table(found: Sequence[RuleFound]) -> Table:
    table = _table("Rules", "group", "rule")
    for one in found:
        notes = one.state if one.kind == "alerting" else "recorded"
        notes += f": {one.note}" if one.note else ""
        table.add_row(one.group, one.name, str(one.series), _red(one.fault) or escape(notes))
    return table


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in names:
        table.add_column(name, no_wrap=True)
    table.add_column("series", justify="right")
    table.add_column("", ratio=1)
    return table


def _red(fault: str | None) -> str | None:
    return f"[red]{escape(fault)}[/]" if fault else None


def _conclusion(asked: Sequence[PanelFound], loaded: Sequence[RuleFound]) -> str:
    shown, wrong = sum(one.series > 0 for one in asked), len(_wrong(asked, loaded))
    empty = sum(not one.series and one.fault is None for one in asked)
    firing = sum(one.state == "firing" for one in loaded)
    return (
        f"{len(asked)} queries of panels and marks: {shown} show something, {empty} are empty for the"
        f" reason named. Of {len(loaded)} rules {firing} fire. Wrong: {wrong}."
    )


def _wrong(asked: Sequence[PanelFound], loaded: Sequence[RuleFound]) -> list[PanelFound | RuleFound]:
    found: list[PanelFound | RuleFound] = [*asked, *loaded]
    return [one for one in found if one.fault is not None]


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m grafana.ask", description=__doc__.split("\n", 1)[0])
    add_options(parser)
    parser.add_argument("--seconds", type=float, default=600.0, help="of the past to be shown; default 600")
    parser.add_argument("--service", help="for the dashboard of one service; default: the first")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--only-wrong", action="store_true", help="show only rows with a fault")
    options = parser.parse_args(words)
    if not 1 <= options.seconds <= 30 * 86400:
        parser.error("--seconds: give something from 1 to 2592000")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Make the queries, print the results, and return the exit code."""
    options = _arguments(words)
    window = last(options.seconds)
    try:
        with Prometheus(options.prometheus, options.password_file, options.ca_file) as prometheus:
            stored = StoredMetrics(prometheus, window)
            asked = panels(prometheus, window, stored, options.service)
            loaded = rules(prometheus, window, stored)
    except PrometheusError as fault:
        print(f"grafana.ask: {fault}", file=sys.stderr)
        return 2
    if options.json:
        rows = {"panels": [asdict(one) for one in asked], "rules": [asdict(one) for one in loaded]}
        print(json.dumps(rows, indent=2))
    else:
        console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
        shown = [one for one in asked if one.fault or not options.only_wrong]
        console.print(_panel_table(shown))
        console.print(_rule_table([one for one in loaded if one.fault or not options.only_wrong]))
        console.print(_conclusion(asked, loaded))
    return 1 if _wrong(asked, loaded) or not loaded else 0


if __name__ == "__main__":
    sys.exit(main())

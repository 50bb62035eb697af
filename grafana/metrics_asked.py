"""Which metrics an expression queries, and which of them a Prometheus has never stored."""

from __future__ import annotations

import promql_parser

from grafana.may_be_empty import METRICS
from grafana.prometheus import Prometheus, Window


def metrics_of(expr: str) -> set[str]:
    """Return the names of the metrics that an expression queries."""
    found: set[str] = set()

    def note(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            if part.name is not None:
                found.add(part.name)
        elif isinstance(part, promql_parser.MatrixSelector):
            note(part.vector_selector)

    promql_parser.walk(promql_parser.parse(expr), note)
    return found


class StoredMetrics:
    """The metrics that a Prometheus has in a window; each is queried once."""

    def __init__(self, prometheus: Prometheus, window: Window) -> None:
        self._prometheus, self._window = prometheus, window
        self._known: dict[str, bool] = {}

    def missing(self, expr: str) -> list[str]:
        """Return the metrics of an expression that had no series in the window."""
        # Recorded series and alerts come and go with the results: the rule is checked on its own.
        names = sorted(name for name in metrics_of(expr) if ":" not in name and name != "ALERTS")
        return [name for name in names if not self._has(name)]

    def excuses(self, expr: str) -> list[str]:
        """Return why metrics of an expression are missing, if that is no fault."""
        return [f"{METRICS[name]} ({name})" for name in self.missing(expr) if name in METRICS]

    def _has(self, name: str) -> bool:
        if name not in self._known:
            asked = f"count(last_over_time({name}[{max(1, round(self._window.seconds))}s]))"
            self._known[name] = bool(self._prometheus.now(asked, self._window.end))
        return self._known[name]

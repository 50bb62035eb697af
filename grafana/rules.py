"""Every rule that a Prometheus has loaded: whether it is evaluated, what it finds, whether its metrics exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grafana.may_be_empty import METRICS
from grafana.metrics_asked import StoredMetrics
from grafana.prometheus import Prometheus, PrometheusError, Window


@dataclass(frozen=True, slots=True)
class RuleFound:
    """One rule: how many series it finds now, and `fault`, the reason why it does not work."""

    group: str
    name: str
    kind: str  # alerting or recording
    state: str  # of an alert: inactive, pending or firing
    series: int
    fault: str | None
    note: str = ""  # why metrics that it queries are missing, if that is no fault


def rules(prometheus: Prometheus, window: Window, stored: StoredMetrics) -> list[RuleFound]:
    """Return all rules in the order of their files, including any that are not from locum."""
    return [
        _found(prometheus, window, stored, group["name"], rule)
        for group in prometheus.rules()
        for rule in group["rules"]
    ]


def _found(
    prometheus: Prometheus, window: Window, stored: StoredMetrics, group: str, rule: Mapping[str, str]
) -> RuleFound:
    series, fault, note = 0, None, ""
    try:
        series = len(prometheus.now(rule["query"], window.end))
        # A rule about a metric that does not exist could never fire.
        if unknown := [name for name in stored.missing(rule["query"]) if name not in METRICS]:
            fault = f"queries metrics that do not exist: {', '.join(unknown)}"
        note = "; ".join(stored.excuses(rule["query"]))
    except PrometheusError as error:
        fault = str(error)
    if rule["health"] != "ok":
        fault = rule.get("lastError") or f"its health is {rule['health']}"
    return RuleFound(group, rule["name"], rule["type"], rule.get("state", ""), series, fault, note)

"""Every rule that a Prometheus has loaded: is it evaluated, what does it find, and is there what it asks for?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grafana.may_be_empty import METRICS
from grafana.metrics_asked import Heard
from grafana.prometheus import Prometheus, PrometheusError, Window


@dataclass(frozen=True, slots=True)
class RuleFound:
    """One rule: how many series it finds now, and `fault`, the reason why it could not do its work."""

    group: str
    name: str
    kind: str  # alerting or recording
    state: str  # of an alert: inactive, pending or firing
    series: int
    fault: str | None
    note: str = ""  # why metrics that it asks for are missing, where that is no fault


def rules(prometheus: Prometheus, window: Window, heard: Heard) -> list[RuleFound]:
    """Return all rules, in the order of their files; those of others than locum too, if there are any."""
    return [
        _found(prometheus, window, heard, group["name"], rule)
        for group in prometheus.rules()
        for rule in group["rules"]
    ]


def _found(
    prometheus: Prometheus, window: Window, heard: Heard, group: str, rule: Mapping[str, str]
) -> RuleFound:
    series, fault, note = 0, None, ""
    try:
        series = len(prometheus.now(rule["query"], window.end))
        # A rule about a metric that is not there could never say anything.
        if unknown := [name for name in heard.missing(rule["query"]) if name not in METRICS]:
            fault = f"asks for what is not there: {', '.join(unknown)}"
        note = "; ".join(heard.excuses(rule["query"]))
    except PrometheusError as error:
        fault = str(error)
    if rule["health"] != "ok":
        fault = rule.get("lastError") or f"its health is {rule['health']}"
    return RuleFound(group, rule["name"], rule["type"], rule.get("state", ""), series, fault, note)

"""The dashboards' PromQL: it parses, and asks for nothing that nobody tells."""

from __future__ import annotations

import re
from collections.abc import Iterable

import promql_parser
import pytest
import yaml
from prometheus_client import Metric

from locum_actuator.metrics import Metrics
from locum_exporter.metrics import ResultCollector
from locum_exporter.own_metrics import OwnMetrics
from locum_exporter.result import CheckResult
from locum_inventory.load import load_site
from tests.grafana.shipped import DASHBOARDS, QUERIES, ROOT, ShippedQuery

every_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)

OF_PROMETHEUS_ITSELF = {"up", "scrape_duration_seconds", "ALERTS"}  # one for every target or alert
OF_OTHERS = re.compile("prometheus_|alertmanager_|process_")  # that they exist, the test on the lab shows
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}

# Everything that some check measures, as if one check had measured it all.
ALL_DETAILS: dict[str, object] = {
    "rtt_seconds": 0.001,
    "status_code": 200,
    "body_bytes": 10,
    "certificate_expiry_timestamp_seconds": 2e9,
    "connect_seconds": 0.001,
    "count": 3,
    "owners": 1,
    "owner_names": ["a"],
    "phases": {"connect": 0.001},
}


def _names(families: Iterable[Metric]) -> set[str]:
    return {family.name + ending for family in families for ending in ENDINGS[family.type]}


def told_by_locum() -> set[str]:
    site = load_site(ROOT / "locum.example.yml")
    failed = ResultCollector(CheckResult(False, "refused", 0.1, details=ALL_DETAILS))
    rules = yaml.safe_load((ROOT / "alert_rules" / "locum.rules.yml").read_text())
    recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    return (
        recorded
        | _names(failed.collect())
        | _names(OwnMetrics(lambda: site).registry.collect())
        | _names(Metrics().registry.collect())
    )


TOLD = told_by_locum()


def asked_for(expr: str) -> set[str]:
    """The names of the metrics in an expression."""
    found: set[str] = set()

    def note(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            assert part.name is not None, f"a selector without a name: {part}"
            found.add(part.name)
        elif isinstance(part, promql_parser.MatrixSelector):
            note(part.vector_selector)

    promql_parser.walk(promql_parser.parse(expr), note)
    return found


@every_query
def test_parses_and_asks_only_for_what_exists(query: ShippedQuery) -> None:
    # "$1" is PromQL's own, of label_replace(); Grafana leaves what it does not know.
    assert "$" not in query.filled.replace('"$1"', ""), "a variable that no viewer could fill in"
    unknown = {
        name for name in asked_for(query.filled) - TOLD - OF_PROMETHEUS_ITSELF if not OF_OTHERS.match(name)
    }
    assert unknown == set()


@pytest.mark.parametrize(
    "expr", ["sum(rate(locum_check_succes[1m]))", "locum_actuator_holder == 1 and nothing_of_ours"]
)
def test_a_metric_that_nobody_tells_would_be_seen(expr: str) -> None:
    assert asked_for(expr) - TOLD


def test_a_fault_would_be_seen() -> None:
    with pytest.raises(ValueError, match=r"unclosed|invalid|unexpected"):
        promql_parser.parse("sum(up")


def test_variables_ask_for_what_exists() -> None:
    for dashboard in DASHBOARDS.values():
        for variable in dashboard["templating"].get("list", []):
            if variable["type"] == "query":
                asked = re.fullmatch(r"label_values\((\w+), \w+\)", variable["query"]["query"])
                assert asked
                assert asked[1] in TOLD


def test_every_metric_of_locum_is_shown_somewhere() -> None:
    """One that is not shown is a question nobody asks; those left out are named here, with the reason."""
    shown = {name for query in QUERIES for name in asked_for(query.filled)}
    left_out = {
        # `up` shows each part as Prometheus sees it
        "locum_actuator_chain_up",
        # the count and the sum say it, or the bucket does
        "locum_exporter_probe_duration_seconds_sum",
        "locum_exporter_probe_duration_seconds_count",
    }
    own_process = {name for name in TOLD if name.startswith("process_")}  # prometheus_client's, not ours
    recorded = {name for name in TOLD if name.startswith("locum:")}  # half-way results of the alerts
    assert TOLD - shown - own_process - recorded <= left_out

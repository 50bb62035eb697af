"""The dashboards' PromQL: it parses, and asks for nothing that is not reported."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import promql_parser
import pytest
from prometheus_client import Metric
from yaml import CSafeLoader, load

from grafana import may_be_empty
from grafana.metrics_asked import metrics_of
from grafana.shipped import DASHBOARDS, QUERIES, ShippedQuery
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.metrics import BrakeCollector
from locum_actuator.metrics import Metrics
from locum_actuator.mirror.gate_commands import GateCommands
from locum_actuator.mirror.manager import MirrorManager
from locum_actuator.mirror.metrics import MirrorCollector
from locum_exporter.metrics import ResultCollector
from locum_exporter.result import CheckResult
from locum_exporter.self_metrics import OwnMetrics
from locum_inventory.site.load import load_site
from locum_inventory.site.model import Site

ROOT = Path(__file__).parents[2]
VALUES = {"${datasource}": "locum", "$service": "www", "$__range": "600s"}

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


def _of_the_journal(site: Site) -> set[str]:
    """What the actuator reads from its journal at each scrape; both collectors name all they have."""
    with tempfile.TemporaryDirectory() as directory:
        journal = Journal(Path(directory) / "journal.sqlite")
        mirrors = MirrorManager(lambda: site, journal, lambda site: GateCommands(site, site.actuator.host))
        names = _names(BrakeCollector(journal, lambda: site).collect())
        names |= _names(MirrorCollector(mirrors).collect())
        journal.close()
        return names


def exported_by_locum() -> set[str]:
    site = load_site(ROOT / "locum.example.yml")
    failed = ResultCollector(CheckResult("refused", 0.1, details=ALL_DETAILS))
    rules = load((ROOT / "alert_rules" / "locum.rules.yml").read_text(), CSafeLoader)
    recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    return (
        recorded
        | _names(failed.collect())
        | _names(OwnMetrics(lambda: site).registry.collect())
        | _names(Metrics().registry.collect())
        | _of_the_journal(site)
    )


EXPORTED = exported_by_locum()


@every_query
def test_parses_and_asks_only_for_what_exists(query: ShippedQuery) -> None:
    # "$1" is PromQL's own, of label_replace(); Grafana leaves what it does not know.
    assert "$" not in query.filled(VALUES).replace('"$1"', ""), "a variable that no viewer could fill in"
    unknown = {
        name
        for name in metrics_of(query.filled(VALUES)) - EXPORTED - OF_PROMETHEUS_ITSELF
        if not OF_OTHERS.match(name)
    }
    assert unknown == set()


@pytest.mark.parametrize(
    "expr", ["sum(rate(locum_check_succes[1m]))", "locum_actuator_holder == 1 and nothing_of_ours"]
)
def test_a_metric_that_nobody_tells_would_be_seen(expr: str) -> None:
    assert metrics_of(expr) - EXPORTED


def test_a_fault_would_be_seen() -> None:
    with pytest.raises(ValueError, match=r"unclosed|invalid|unexpected"):
        promql_parser.parse("sum(up")


def test_variables_ask_for_what_exists() -> None:
    for dashboard in DASHBOARDS.values():
        for variable in dashboard["templating"].get("list", []):
            if variable["type"] == "query":
                asked = re.fullmatch(r"label_values\((\w+), \w+\)", variable["query"]["query"])
                assert asked
                assert asked[1] in EXPORTED


def test_every_metric_of_locum_is_shown_somewhere() -> None:
    """One that is not shown answers no question; those left out are named here, with the reason."""
    shown = {name for query in QUERIES for name in metrics_of(query.filled(VALUES))}
    left_out = {
        # the reason says it: locum_check_failure is shown
        "locum_check_looked",
        # its age is shown, by the actuator's own watch
        "locum_actuator_heartbeat_timestamp_seconds",
        # the count and the sum say it, or the bucket does
        "locum_exporter_probe_duration_seconds_sum",
        "locum_exporter_probe_duration_seconds_count",
    }
    own_process = {name for name in EXPORTED if name.startswith("process_")}  # prometheus_client's, not ours
    recorded = {name for name in EXPORTED if name.startswith("locum:")}  # half-way results of the alerts
    assert EXPORTED - shown - own_process - recorded <= left_out


def test_what_may_be_empty_is_there() -> None:
    """A reason for a panel or a metric that is gone would excuse nothing, or the wrong thing."""
    assert set(may_be_empty.PANELS) <= {query.name for query in QUERIES}
    assert set(may_be_empty.METRICS) <= EXPORTED

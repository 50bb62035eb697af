"""docs/metrics.md lists every metric with its type, labels and unit, as the programs register them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry

from locum_actuator.journal.journal import Journal
from locum_actuator.journal.metrics import BrakeCollector
from locum_actuator.metrics import Metrics
from locum_actuator.mirror.gate_commands import GateCommands
from locum_actuator.mirror.manager import MirrorManager
from locum_actuator.mirror.metrics import MirrorCollector
from locum_exporter.discovery import targets
from locum_exporter.metrics import ResultCollector
from locum_exporter.result import REASON_CLASSES, CheckResult, Reason
from locum_exporter.self_metrics import OwnMetrics
from tests.actuator.fakes import site
from tests.exporter import sites

DOCUMENT = (Path(__file__).parents[1] / "docs/metrics.md").read_text()
Known = dict[str, tuple[str, frozenset[str]]]  # type and labels by name
UNITS = {"_timestamp_seconds": "s since 1970", "_seconds": "s", "_bytes": "bytes"}


def section(heading: str) -> str:
    return DOCUMENT.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]


def documented(heading: str) -> dict[str, tuple[str, frozenset[str], str]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|(.*?)\|(.*?)\| ", section(heading), re.MULTILINE)
    return {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels)), unit.strip())
        for name, kind, labels, unit in rows
    }


def _named(registry: CollectorRegistry) -> Known:
    """Return what a registry's own gauges, counters and histograms are: their series may not have begun yet."""
    there: Iterable[Any] = registry._collector_to_names
    metrics = [metric for metric in there if hasattr(metric, "_labelnames")]
    return {
        metric._name + ("_total" if metric._type == "counter" else ""): (
            metric._type,
            frozenset(metric._labelnames),
        )
        for metric in metrics
    }


def _families(collector: Any) -> Known:
    return {family.name: (family.type, frozenset(family._labelnames)) for family in collector.collect()}


ALL_DETAILS = {
    "rtt_seconds": 0.1, "status_code": 200, "body_bytes": 9, "certificate_expiry_timestamp_seconds": 1e9,
    "connect_seconds": 0.1, "count": 1, "owners": 1, "phases": {"connect": 0.1}, "owner_names": ("a",),
}  # fmt: skip


def of_a_check(_: Path) -> Known:
    return _families(ResultCollector(CheckResult("timeout", 0.1, details=ALL_DETAILS)))


def of_the_exporter(_: Path) -> Known:
    registry = OwnMetrics(sites.site).registry
    by_site = [metric for metric in registry._collector_to_names if type(metric).__name__ == "_SiteCollector"]
    return _named(registry) | _families(by_site[0])


def of_the_actuator(state: Path) -> Known:
    journal = Journal(state / "journal.sqlite")
    journal.pauses.begin("www", 60, "new disks")
    return _named(Metrics().registry) | _families(BrakeCollector(journal, site))


def of_the_mirrors(state: Path) -> Known:
    mirrors = MirrorManager(site, Journal(state / "journal.sqlite"), lambda values: GateCommands(values, "b"))
    return _families(MirrorCollector(mirrors))


SECTIONS = {
    "Of a check": of_a_check,
    "Of the exporter": of_the_exporter,
    "Of the actuator": of_the_actuator,
    "Of the mirrors": of_the_mirrors,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_metric_and_no_other(heading: str, tmp_path: Path) -> None:
    found = documented(heading)
    assert {name: (kind, labels) for name, (kind, labels, _) in found.items()} == SECTIONS[heading](tmp_path)
    assert len(found) > 4


@pytest.mark.parametrize("heading", SECTIONS)
def test_units_are_what_the_names_say(heading: str) -> None:
    for name, (_, _, unit) in documented(heading).items():
        by_name = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), None)
        assert unit == by_name if by_name else unit in {"", "0/1"}, name


def test_the_labels_that_discovery_adds() -> None:
    added = {
        label for target in targets(sites.site()) for label in target["labels"] if not label.startswith("__")
    }
    table = section("Of a check").split("| label |")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == added


def test_the_reasons() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", section("Reasons"), re.MULTILINE))
    assert documented == {reason: kind.replace("_", " ") for reason, kind in REASON_CLASSES.items()}
    assert set(REASON_CLASSES) == set(get_args(Reason))

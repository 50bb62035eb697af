"""The targets that Prometheus gets, each as its labels say."""

import json
from typing import Any

import pytest

from locum_exporter.discovery import targets
from locum_inventory.site.model import Site
from tests.exporter.sites import service, site


def summary(of: Site) -> list[str]:
    """Targets as lines: address, check, service, host, interval, and the flags that are true."""
    lines = []
    for entry in targets(of):
        labels = entry["labels"]
        named = [
            labels[key]
            for key in ("vantage_point", "check", "service", "through", "host", "role")
            if key in labels
        ]
        flags = [key for key in ("decides", "votes") if labels[key] == "true"]
        lines.append(" ".join([*entry["targets"], *named, labels["tier"], *flags]))
    return lines


def test_all_targets_of_a_site() -> None:
    b, c = "127.0.0.12:10751 b", "[2001:db8::c]:443 c"
    assert sorted(summary(site())) == sorted(
        [
            f"{b} ping a 1s votes",
            f"{b} ping b 1s",
            f"{b} address www 1s votes",
            f"{b} http www address 1s",
            f"{b} tcp www address 1s",
            f"{b} http www a preferred 250ms decides votes",
            f"{b} http www b standby 250ms decides",
            f"{b} tcp www a preferred 250ms decides votes",
            f"{b} tcp www b standby 250ms decides",
            f"{b} process www a preferred 1s votes",
            f"{b} process www b standby 1s",
            f"{c} ping a 1s votes",
            f"{c} ping b 1s votes",
            f"{c} address www 1s votes",
            f"{c} http www address 1s",
            f"{c} tcp www address 1s",
            f"{c} http www a preferred 250ms decides votes",
            f"{c} http www b standby 250ms decides votes",
            f"{c} tcp www a preferred 250ms decides votes",
            f"{c} tcp www b standby 250ms decides votes",
            # c cannot ask b's gate: the site file gives no ssh for b.
            f"{c} process www a preferred 1s votes",
        ]
    )


ENTRIES: dict[str, dict[str, Any]] = {
    "http": {
        "targets": ["127.0.0.12:10751"],
        "labels": {
            "__metrics_path__": "/probe",
            "__param_check": "http",
            "__param_service": "www",
            "__param_host": "a",
            "__scrape_interval__": "250ms",
            "__scrape_timeout__": "250ms",
            "vantage_point": "b",
            "check": "http",
            "service": "www",
            "host": "a",
            "role": "preferred",
            "standby": "stopped",
            "tier": "250ms",
            "decides": "true",
            "votes": "true",
        },
    },
    "a ping is of a host, not of a service": {
        "targets": ["127.0.0.12:10751"],
        "labels": {
            "__metrics_path__": "/probe",
            "__param_check": "ping",
            "__param_host": "a",
            "__scrape_interval__": "1s",
            "__scrape_timeout__": "1s",
            "vantage_point": "b",
            "check": "ping",
            "host": "a",
            "tier": "1s",
            "decides": "false",
            "votes": "true",
        },
    },
    "an address is of a service, not of a host; and TLS": {
        "targets": ["[2001:db8::c]:443"],
        "labels": {
            "__metrics_path__": "/probe",
            "__scheme__": "https",
            "__param_check": "address",
            "__param_service": "www",
            "__scrape_interval__": "1s",
            "__scrape_timeout__": "1s",
            "vantage_point": "c",
            "check": "address",
            "service": "www",
            "standby": "stopped",
            "tier": "1s",
            "decides": "false",
            "votes": "true",
        },
    },
}


@pytest.mark.parametrize("row", ENTRIES)
def test_entry(row: str) -> None:
    assert ENTRIES[row] in targets(site())


DECIDING: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a service without checks: ping decides": ({"checks": {}}, {"ping"}),
    "a service known by its process alone": ({"checks": {"process": {"name": "named"}}}, {"process"}),
    "tcp and a process": ({"checks": {"process": {"name": "named"}, "tcp": {"port": 53}}}, {"tcp"}),
}


@pytest.mark.parametrize("row", DECIDING)
def test_which_checks_decide(row: str) -> None:
    changes, deciding = DECIDING[row]
    entries = [entry["labels"] for entry in targets(site(services={"www": service(**changes)}))]
    assert {labels["check"] for labels in entries if labels["decides"] == "true"} == deciding
    assert all(labels["service"] == "www" for labels in entries if labels["decides"] == "true")


INTERVALS: dict[str, tuple[str, str, str]] = {
    "100ms": ("100ms", "1s", "1s"),
    "250ms": ("250ms", "1s", "1s"),
    "1s": ("1s", "1s", "1s"),
    "5s": ("5s", "5s", "5s"),
    "15s": ("15s", "15s", "15s"),
}


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_of_http_address_and_ping(interval: str) -> None:
    entries = [entry["labels"] for entry in targets(site(services={"www": service(interval=interval)}))]
    entries = [labels for labels in entries if "through" not in labels]
    for check, expected in zip(("http", "address", "ping"), INTERVALS[interval], strict=True):
        assert {labels["__scrape_interval__"] for labels in entries if labels["check"] == check} == {expected}
        assert {labels["__scrape_timeout__"] for labels in entries if labels["check"] == check} == {expected}


def test_all_labels_are_text_and_no_target_comes_twice() -> None:
    written = [json.dumps(entry, sort_keys=True) for entry in targets(site())]
    assert len(written) == len(set(written))
    assert all(isinstance(value, str) for entry in targets(site()) for value in entry["labels"].values())


def test_the_order_does_not_depend_on_the_site_files() -> None:
    turned = site(
        hosts=dict(reversed(site().model_dump()["hosts"].items())),
        vantage_points=dict(reversed(site().model_dump()["vantage_points"].items())),
    )
    assert targets(turned) == targets(site())

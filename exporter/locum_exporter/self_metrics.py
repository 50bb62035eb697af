"""The exporter's own metrics: its process, its probes, and data of the site for the alert rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from locum_exporter.probe_request import ProbeRequest
from locum_exporter.result import CheckResult
from locum_inventory.site.model import Site

_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0)


class OwnMetrics:
    """The metrics of `/metrics`. `current_site` returns the current site, which a reload may replace."""

    def __init__(self, current_site: Callable[[], Site]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_SiteCollector(current_site))
        self._probe_seconds = Histogram(
            "locum_exporter_probe_duration_seconds",
            "Seconds that probes took.",
            ["check"],
            buckets=_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._failures = Counter(
            "locum_exporter_check_failures",
            "Checks that failed, by their reason.",
            ["check", "reason"],
            registry=self.registry,
        )
        self._reload_success = Gauge(
            "locum_exporter_site_reload_success",
            "1 if the last reload of the site file succeeded; 0: the previous site is in use.",
            registry=self.registry,
        )
        self._reload_success.set(1)

    def count(self, look: ProbeRequest, result: CheckResult) -> None:
        """Record one probe."""
        self._probe_seconds.labels(look.check).observe(result.seconds)
        if result.reason is not None:
            self._failures.labels(look.check, result.reason).inc()

    def reloaded(self, *, success: bool) -> None:
        """Record whether the site file could be read."""
        self._reload_success.set(1 if success else 0)


class _SiteCollector(Collector):
    def __init__(self, current_site: Callable[[], Site]) -> None:
        self._current_site = current_site

    def collect(self) -> Iterator[Metric]:
        site = self._current_site()
        info = GaugeMetricFamily(
            "locum_exporter_info", "Always 1; the version is a label.", labels=["version"]
        )
        info.add_metric([version("locum")], 1)
        yield info
        voters = GaugeMetricFamily(
            "locum_site_voters",
            "Configured vantage points whose check of the service on that host is a vote.",
            labels=["service", "host"],
        )
        for service_name, service in sorted(site.services.items()):
            for host_name in service.hosts:
                voters.add_metric([service_name, host_name], len(site.voters(host_name)))
        yield voters

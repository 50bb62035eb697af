"""Metrics of pauses and flapping, read from the journal at each scrape, because a pause expires."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_inventory.site.model import Site

HOUR_SECONDS = 3600.0


class BrakeCollector(Collector):
    """Collects pauses, and services that keep failing."""

    def __init__(self, journal: Journal, site: Callable[[], Site]) -> None:
        self._journal = journal
        self._site = site

    def describe(self) -> list[GaugeMetricFamily]:
        """Return no metrics in advance: registering must not read the journal."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges of every service; none while the journal cannot be read."""
        paused = GaugeMetricFamily(
            "locum_actuator_paused", "1 while a person has paused the service", labels=["service"]
        )
        until = GaugeMetricFamily(
            "locum_actuator_paused_until_timestamp_seconds",
            "When the pause expires; absent if there is none",
            labels=["service"],
        )
        flapping = GaugeMetricFamily(
            "locum_actuator_flapping",
            "1 if max_respawns_per_hour or max_per_hour was reached within the last hour",
            labels=["service"],
        )
        try:
            for name in self._site().services:
                pause = self._journal.pauses.current(name)
                paused.add_metric([name], pause is not None)
                if pause is not None:
                    until.add_metric([name], pause.until)
                flapping.add_metric([name], self._flaps(name))
        except JournalError:
            return
        yield from (paused, until, flapping)

    def _flaps(self, service: str) -> bool:
        takeover, since = self._site().services[service].takeover, self._journal.clock.now() - HOUR_SECONDS
        respawns = max(self._journal.counts.respawns_since(service, since).values(), default=0)
        return (
            respawns >= takeover.max_respawns_per_hour
            or self._journal.counts.takeovers_since(service, since) >= takeover.max_per_hour
        )

"""Metrics of the copies, read from the journal at each scrape because their age grows all the time."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from locum_actuator.journal.database import JournalError
from locum_actuator.mirror.freshness import copies
from locum_actuator.mirror.manager import MirrorManager
from locum_inventory.site.mirror import Mirror, age_seconds

_OUTCOMES = ("done", "refused", "failed")
_HOST = ("service", "host")
_GAUGES = {
    "locum_mirror_last_success_timestamp_seconds": (
        "Start time of the last run that completed the copy",
        _HOST,
    ),
    "locum_mirror_age_seconds": ("Age of the data on a host that does not hold the service", _HOST),
    "locum_mirror_stale": ("1 if a copy is older than max_age, incomplete, or was never made", _HOST),
    "locum_mirror_max_age_seconds": ("Maximum age of a copy, from the site file", ("service",)),
    "locum_mirror_running": ("1 while a run is active", ("service",)),
    "locum_mirror_last_result": ("1 for the outcome of the last run onto a host", (*_HOST, "outcome")),
    "locum_mirror_last_duration_seconds": ("Duration of the last run onto a host", _HOST),
    "locum_mirror_last_files": ("Files, directories and other entries in the copy at the last run", _HOST),
    "locum_mirror_last_copied_files": ("Files whose content the last run sent", _HOST),
    "locum_mirror_last_deleted_files": ("Files that the last run deleted", _HOST),
    "locum_mirror_last_sent_bytes": ("Bytes that the last run sent", _HOST),
}


class MirrorCollector(Collector):
    """Age and last run of every copy; the holder has no copy."""

    def __init__(self, mirrors: MirrorManager) -> None:
        self._mirrors = mirrors

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing, because registering the collector must not read the journal."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges of every mirrored service; nothing while the journal cannot be read."""
        families = {
            name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in _GAUGES.items()
        }
        try:
            for name, service in self._mirrors.site().services.items():
                if service.mirror is not None:
                    self._add_service(families, name, service.mirror)
        except JournalError:
            return
        yield from families.values()

    def _add_service(self, families: dict[str, GaugeMetricFamily], name: str, mirror: Mirror) -> None:
        journal, service = self._mirrors.journal, self._mirrors.site().services[name]
        families["locum_mirror_max_age_seconds"].add_metric([name], age_seconds(mirror.max_age))
        families["locum_mirror_running"].add_metric([name], self._mirrors.under_way(name) is not None)
        now, holder = journal.clock.now(), journal.holder(name).host
        for host, copy in copies(journal.mirrors, name, service, holder, now).items():
            families["locum_mirror_stale"].add_metric([name, host], copy.stale)
            if copy.age_seconds is not None:
                families["locum_mirror_age_seconds"].add_metric([name, host], copy.age_seconds)
            self._add_runs(families, name, host)

    def _add_runs(self, families: dict[str, GaugeMetricFamily], name: str, host: str) -> None:
        ledger = self._mirrors.journal.mirrors
        done, last = ledger.last_done(name, host), ledger.last(name, host)
        if done is not None:
            at = self._mirrors.journal.clock.on_the_wall(done.started_at)
            families["locum_mirror_last_success_timestamp_seconds"].add_metric([name, host], at)
        for outcome in _OUTCOMES:
            is_it = last is not None and last.outcome == outcome
            families["locum_mirror_last_result"].add_metric([name, host, outcome], is_it)
        if last is None:
            return
        for gauge, value in (
            ("duration_seconds", (last.ended_at or last.started_at) - last.started_at),
            ("files", last.files),
            ("copied_files", last.copied),
            ("deleted_files", last.deleted),
            ("sent_bytes", last.bytes_sent),
        ):
            families[f"locum_mirror_last_{gauge}"].add_metric([name, host], value)

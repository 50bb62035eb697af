"""The running actuator: its site, a worker a service, and what becomes of each alert that is accepted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from locum_actuator.alerts import ACTING, HEARTBEAT, Alert
from locum_actuator.incident import Context, Looker
from locum_actuator.journal import AlertRow, Journal
from locum_actuator.metrics import Metrics
from locum_actuator.steps.base import Shells
from locum_actuator.worker import Worker
from locum_inventory.model import Site

log = logging.getLogger(__name__)

END_SECONDS = 5.0


class KeptShells(Shells, Protocol):
    """Shells by host, which can be given up together."""

    def close(self) -> None:
        """Give up every connection."""


class Engine:
    """Everything that lives as long as the actuator does."""

    def __init__(
        self,
        site: Site,
        journal: Journal,
        metrics: Metrics,
        make_shells: Callable[[Site], KeptShells],
        make_looker: Callable[[Site, KeptShells], Looker],
    ) -> None:
        self.journal = journal
        self.metrics = metrics
        self.heartbeat_at: float | None = None  # seconds since the epoch
        self._make_shells = make_shells
        self._make_looker = make_looker
        self._lock = threading.Lock()
        self._adopt(site)

    def _adopt(self, site: Site) -> None:
        self.site = site
        self._shells = self._make_shells(site)
        self.looker = self._make_looker(site, self._shells)
        self.workers = {
            name: Worker(Context(site, name, self.journal, self.metrics, self._shells, self.looker))
            for name in site.services
        }

    def start(self) -> None:
        """Let the workers run."""
        for worker in self.workers.values():
            worker.start()

    def stop(self) -> None:
        """End the workers, each between two looks or after the plan at hand; held addresses stay where they are."""
        for worker in self.workers.values():
            worker.end()
        deadline = time.monotonic() + END_SECONDS
        for worker in self.workers.values():
            if worker.is_alive():
                worker.join(max(0.0, deadline - time.monotonic()))
        self._shells.close()

    def reload(self, site: Site) -> None:
        """Go on with another site; incidents that are open go on under it."""
        with self._lock:
            self.stop()
            self._adopt(site)
            self.start()
        log.info("reloaded: services %s", ", ".join(site.services))

    def context(self, service: str) -> Context:
        """Return what there is to work with for a service; raises KeyError for one the site does not name."""
        return self.workers[service].context

    def accept(self, alerts: tuple[Alert, ...]) -> dict[str, int]:
        """Write alerts down, durably, and wake the workers they are for; return how many got which verdict.

        Raises `JournalFault` where the journal cannot take them: then nobody was woken.
        """
        judged: list[tuple[Alert, str, str]] = []
        for alert in alerts:
            if alert.name == HEARTBEAT and alert.fault is None:
                if alert.status == "firing":
                    self.heartbeat_at = time.time()
                    self.metrics.beat()
                continue
            verdict, words = self._judge(alert)
            judged.append((alert, verdict, words))
        counts: dict[str, int] = {}
        if not judged:
            return {"heartbeat": len(alerts)}
        rows = [
            AlertRow(a.name, a.service, a.host, a.status, a.starts_at, a.fingerprint, words)
            for a, _, words in judged
        ]
        for number, (alert, verdict, _) in zip(self.journal.accept(rows), judged, strict=True):
            counts[verdict] = counts.get(verdict, 0) + 1
            if verdict == "accepted" and alert.service is not None and alert.name is not None:
                self.workers[alert.service].wake(alert.name, number)
        return counts

    def _judge(self, alert: Alert) -> tuple[str, str]:
        """Return a verdict in one word and in words. An alert is a hint: accepted means only that we look."""
        if alert.fault is not None:
            return "faulty", f"not usable: {alert.fault}"
        if alert.name not in ACTING:
            return "ignored", f"{alert.name} is not an alert that locum acts on"
        if alert.service not in self.workers:
            return "unknown", f"no service '{alert.service}' in the site file"
        if alert.status == "resolved":
            return "resolved", "resolved: recorded, never acted on"
        holder = self.journal.holder(alert.service).host
        if alert.host is not None and holder is not None and alert.host != holder:
            return "not_holder", f"{alert.host} is not the holder of {alert.service}; {holder} is"
        return "accepted", "woke the worker, which looks again"

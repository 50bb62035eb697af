"""Record the alerts of a webhook durably, and wake the workers that have to check."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from locum_actuator.domain.alerts import ACTING, HEARTBEAT, WOKE, Alert
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.journal import AlertRow, Journal

log = logging.getLogger(__name__)


def take_in(
    alerts: tuple[Alert, ...],
    workers: Mapping[str, Worker],
    journal: Journal,
    on_heartbeat: Callable[[], None],
) -> dict[str, int]:
    """Record alerts durably and wake the workers concerned; return the number of alerts per verdict.

    `on_heartbeat` is called for each heartbeat that fires; heartbeats are not recorded. Raises `JournalError` if
    the journal cannot be written; then no worker was woken.
    """
    judged: list[tuple[Alert, str, str]] = []
    for alert in alerts:
        if alert.name == HEARTBEAT and alert.fault is None:
            if alert.status == "firing":
                on_heartbeat()
            continue
        verdict, words = _judge(alert, workers, journal)
        judged.append((alert, verdict, words))
    if not judged:
        return {"heartbeat": len(alerts)}
    rows = [
        AlertRow(a.name, a.service, a.host, a.status, a.starts_at, a.fingerprint, words)
        for a, _, words in judged
    ]
    counts: dict[str, int] = {}
    for number, (alert, verdict, _) in zip(journal.accept(rows), judged, strict=True):
        counts[verdict] = counts.get(verdict, 0) + 1
        _log_verdict(alert, verdict, workers)
        if verdict == "accepted" and alert.service is not None and alert.name is not None:
            workers[alert.service].wake(alert.name, number)
    return counts


def _judge(alert: Alert, workers: Mapping[str, Worker], journal: Journal) -> tuple[str, str]:
    """Return an alert's verdict as a code and in words. Accepted only means that the worker checks."""
    if alert.fault is not None:
        return "faulty", f"not usable: {alert.fault}"
    if alert.name not in ACTING:
        return "ignored", f"{alert.name} is not an alert that locum acts on"
    if alert.service is None or alert.service not in workers:
        return "unknown", f"no service '{alert.service}' in the site file"
    if alert.status == "resolved":
        return "resolved", "resolved: recorded, never acted on"
    holder = journal.holder(alert.service).host
    if alert.host is not None and holder is not None and alert.host != holder:
        return "not_holder", f"{alert.host} is not the holder of {alert.service}; {holder} is"
    return "accepted", WOKE


def _log_verdict(alert: Alert, verdict: str, workers: Mapping[str, Worker]) -> None:
    """Log an alert: accepted ones as INFO, all others as DEBUG."""
    log.log(
        logging.INFO if verdict == "accepted" else logging.DEBUG,
        "alert %s of host %s: %s",
        alert.name,
        alert.host,
        verdict,
        extra={
            "event": "alert",
            "service": alert.service if alert.service in workers else None,
            "alert": alert.name,
            "host": alert.host,
            "status": alert.status,
            "verdict": verdict,
        },
    )

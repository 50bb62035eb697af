"""Read Alertmanager's silences that keep alerts from the actuator, by service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests

from locum_actuator.chain.access import ANSWER_SECONDS, Access
from locum_actuator.chain.silence_matchers import fits
from locum_actuator.domain.alerts import ACTING
from locum_inventory.site.model import ChainParts, Site


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence, and the alerts of one service that it suppresses.

    `sure` is False if one of its regular expressions was too complex to evaluate.
    """

    id: str
    alerts: tuple[str, ...]  # "LocumServiceDown on a"
    until: float  # seconds since the epoch
    by: str
    comment: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Silences:
    """The silences by service; `fault` names the Alertmanager that did not answer."""

    services: Mapping[str, tuple[Silence, ...]] = field(default_factory=dict)
    fault: str | None = None


def ask_alertmanagers(parts: ChainParts, site: Site) -> Silences:
    """Return the silences of every service; raises nothing."""
    found: dict[str, dict[str, Silence]] = {}
    faults = []
    for url in parts.alertmanagers:
        try:
            for service, silence in read_silences(_get(url, Access(parts)), site):
                found.setdefault(service, {})[silence.id] = silence
        except (requests.exceptions.RequestException, OSError, ValueError) as fault:
            faults.append(f"Alertmanager at {url} does not report its silences ({type(fault).__name__})")
    rows = {service: tuple(sorted(one.values(), key=lambda s: s.until)) for service, one in found.items()}
    return Silences(rows, "; ".join(faults) or None)


def _get(url: str, access: Access) -> Any:
    with access.session(url) as session:
        answer = session.get(f"{url}/api/v2/silences", timeout=ANSWER_SECONDS, allow_redirects=False)
        answer.raise_for_status()
        return answer.json()


def read_silences(answer: Any, site: Site) -> Iterator[tuple[str, Silence]]:
    """Yield (service, silence) for every active silence that keeps an alert from the actuator.

    ValueError if the answer is not Alertmanager's (its API version 2, `GET /silences`).
    """
    try:
        active = [row for row in answer if row["status"]["state"] == "active"]
        for row in active:
            for name in site.services:
                if silence := _of_service(row, name, site):
                    yield name, silence
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError("not an answer of Alertmanager") from fault


def _of_service(row: Mapping[str, Any], name: str, site: Site) -> Silence | None:
    kept = {
        words: fit
        for words, labels in _alerts(name, site)
        if (fit := fits(row["matchers"], labels)) is not False
    }
    if not kept:
        return None
    return Silence(
        id=str(row["id"]),
        alerts=tuple(kept),
        until=datetime.fromisoformat(row["endsAt"]).timestamp(),
        by=str(row.get("createdBy", "")),
        comment=str(row.get("comment", "")),
        sure=any(kept.values()),
    )


def _alerts(name: str, site: Site) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the alerts that trigger locum for a service: a text, and the labels that the rules set."""
    service = site.services[name]
    for alert, speaks_of_a_host in ACTING.items():
        labels = {
            "alertname": alert,
            "service": name,
            "severity": "critical",
            "locum_action": "true",
            "tier": service.interval,
        }
        if not speaks_of_a_host:
            yield alert, labels
            continue
        for host in service.hosts:
            yield f"{alert} on {host}", {**labels, "host": host}

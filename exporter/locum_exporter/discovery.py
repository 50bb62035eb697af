"""List the targets for Prometheus' HTTP service discovery: every check at every vantage point.

Format: https://prometheus.io/docs/prometheus/latest/http_sd/. Targets carry their own interval, so that a
new service needs no change of prometheus.yml.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from locum_exporter.probe_request import through_checks
from locum_inventory.site.model import INTERVAL_SECONDS, Interval, Service, Site, VantagePoint

_SLOW: Interval = "1s"  # for checks that do not decide whether a service is down


def targets(site: Site) -> list[dict[str, Any]]:
    """Return all targets of a site, in an order that depends only on the site."""
    entries = [
        entry for name, point in site.vantage_points.items() for entry in _targets_of(site, name, point)
    ]
    return sorted(entries, key=lambda entry: (entry["targets"], sorted(entry["labels"].items())))


def _targets_of(site: Site, point_name: str, point: VantagePoint) -> Iterator[dict[str, Any]]:
    for look, interval in _looks(site, point_name):
        labels = {
            "__metrics_path__": "/probe",
            "__scrape_interval__": interval,
            "__scrape_timeout__": interval,
            "tier": interval,
            "vantage_point": point_name,
            **look,
            **{f"__param_{key}": look[key] for key in ("check", "service", "host", "through") if key in look},
        }
        url = urlsplit(point.url)
        if url.scheme == "https":
            labels["__scheme__"] = "https"
        yield {"targets": [_with_port(url.netloc, url.scheme)], "labels": labels}


def _looks(site: Site, point_name: str) -> Iterator[tuple[dict[str, str], Interval]]:
    for host_name in site.hosts:
        services = site.services_on(host_name).values()
        votes = _flag(point_name in site.voters(host_name))
        yield {"check": "ping", "host": host_name, "decides": "false", "votes": votes}, _slowest(services)
    for service_name, service in site.services.items():
        about = {"service": service_name, "standby": service.standby}
        if service.addresses:
            yield {"check": "address", "decides": "false", "votes": "true", **about}, _slower(service)
        for check in through_checks(service):
            through = {"check": check, "through": "address", "decides": "false", "votes": "false", **about}
            yield through, _slower(service)
        for host_name in service.hosts:
            for check in _checks(site, service, host_name, point_name):
                decides = check in service.checks.deciding
                yield (
                    {
                        "check": check,
                        "host": host_name,
                        "role": "preferred" if host_name == service.preferred else "standby",
                        "decides": _flag(decides),
                        "votes": _flag(point_name in site.voters(host_name)),
                        **about,
                    },
                    service.interval if decides else _slower(service),
                )


def _checks(site: Site, service: Service, host_name: str, point_name: str) -> Iterator[str]:
    """Yield the checks of a service that a vantage point can make on a host."""
    asked = [name for name in ("http", "tcp", "process") if getattr(service.checks, name) is not None]
    for check in asked or ["ping"]:
        # A gate is reached over SSH, or directly on its own host; without either, the process cannot be checked.
        if check != "process" or host_name == point_name or site.hosts[host_name].ssh is not None:
            yield check


def _slower(service: Service) -> Interval:
    return service.interval if INTERVAL_SECONDS[service.interval] > INTERVAL_SECONDS[_SLOW] else _SLOW


def _slowest(services: Any) -> Interval:
    """Return the interval for a host's ping: that of its fastest service, but at least one second."""
    return min((_slower(service) for service in services), key=INTERVAL_SECONDS.__getitem__, default=_SLOW)


def _with_port(netloc: str, scheme: str) -> str:
    has_port = netloc.rpartition("]")[2].rpartition(":")[2].isdigit() and ":" in netloc.rpartition("]")[2]
    return netloc if has_port else f"{netloc}:{443 if scheme == 'https' else 80}"


def _flag(value: bool) -> str:
    return "true" if value else "false"

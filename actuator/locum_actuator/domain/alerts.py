"""Parse Alertmanager's webhook, version 4, into alerts. Pure functions.

The format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Each alert is judged
separately: the payload's own `status` describes the group and is misleading (prometheus/alertmanager issue 1051).
Fields that newer versions add are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from locum_inventory.errors import LocumError

HEARTBEAT = "LocumHeartbeat"
# Alerts that wake the actuator; the value says whether the alert has to name a host.
ACTING = {
    "LocumServiceDown": True,
    "LocumAddressUnheld": False,
    "LocumAddressHeldTwice": False,
    "LocumNotReached": False,
}
WOKE = "woke the worker, which looks again"  # an accepted alert's verdict, stored in every journal


class PayloadError(LocumError):
    """Raised if the body is not an Alertmanager webhook; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a payload. `fault` says why it cannot be used; None if it can."""

    name: str | None
    status: Literal["firing", "resolved"] | None
    service: str | None
    host: str | None
    starts_at: str | None
    fingerprint: str | None
    fault: str | None = None


def parse(payload: Any) -> tuple[Alert, ...]:
    """Return all alerts of a payload, valid or faulty.

    Raises `PayloadError` if the body is not an Alertmanager webhook.
    """
    if not isinstance(payload, dict):
        raise PayloadError(f"the body is {_kind(payload)}; a webhook of Alertmanager is a JSON object")
    version = payload.get("version")
    if version != "4":
        raise PayloadError(
            f"version is {version!r:.60}; this actuator reads Alertmanager's webhook version '4'"
        )
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        raise PayloadError(f"alerts is {_kind(alerts)}; it should be a list")
    if not alerts:
        raise PayloadError("alerts is empty; a webhook contains at least one alert")
    return tuple(_alert(item) for item in alerts)


def _alert(item: Any) -> Alert:
    if not isinstance(item, dict):
        return Alert(None, None, None, None, None, None, f"an alert is {_kind(item)}; it should be an object")
    labels = item.get("labels")
    if not isinstance(labels, dict):
        return Alert(None, None, None, None, None, None, f"labels is {_kind(labels)}; it should be an object")
    name, service, host = (_text(labels.get(key)) for key in ("alertname", "service", "host"))
    status = item.get("status")
    starts_at, fingerprint = _text(item.get("startsAt")), _text(item.get("fingerprint"))
    fault = _fault(name, service, host, status)
    known = status if status in ("firing", "resolved") else None
    return Alert(name, known, service, host, starts_at, fingerprint, fault)


def _fault(name: str | None, service: str | None, host: str | None, status: Any) -> str | None:
    if name is None:
        return "label alertname is missing"
    if status not in ("firing", "resolved"):
        return f"status is {status!r:.60}; it should be 'firing' or 'resolved'"
    if name in ACTING:
        if service is None:
            return "label service is missing"
        if ACTING[name] and host is None:
            return "label host is missing"
    return None


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    # JSON can carry half a surrogate pair, which neither databases nor terminals accept.
    return value[:256].encode("utf-8", "replace").decode()


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "missing"}
    return names.get(type(value), "a number")

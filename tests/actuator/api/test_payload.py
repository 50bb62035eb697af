"""Alertmanager's payloads: what can be used, and the reason why not."""

from __future__ import annotations

from typing import Any

import pytest

from locum_actuator.domain.alerts import Alert, PayloadError, parse

GOOD = {
    "status": "firing",
    "labels": {"alertname": "LocumServiceDown", "service": "www", "host": "a"},
    "startsAt": "2026-01-01T00:00:00Z",
    "fingerprint": "c0ffee",
    "a_field_of_next_year": {},
}


def payload(*alerts: Any, **root: Any) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "alerts": list(alerts), **root}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param([], "the body is a list; a webhook of Alertmanager is a JSON object", id="a list"),
        pytest.param("x", "the body is a string; a webhook of Alertmanager is a JSON object", id="a string"),
        pytest.param(None, "the body is missing; a webhook of Alertmanager is a JSON object", id="null"),
        pytest.param(
            payload(GOOD, version="3"),
            "version is '3'; this actuator reads Alertmanager's webhook version '4'",
            id="old version",
        ),
        pytest.param(
            payload(GOOD, version=4),
            "version is 4; this actuator reads Alertmanager's webhook version '4'",
            id="version as a number",
        ),
        pytest.param({"version": "4"}, "alerts is missing; it should be a list", id="no alerts"),
        pytest.param(
            {"version": "4", "alerts": {}}, "alerts is an object; it should be a list", id="alerts an object"
        ),
        pytest.param(payload(), "alerts is empty; a webhook contains at least one alert", id="empty alerts"),
    ],
)
def test_not_a_webhook(body: Any, words: str) -> None:
    with pytest.raises(PayloadError) as fault:
        parse(body)
    assert str(fault.value) == words


def labels(**changes: Any) -> dict[str, Any]:
    merged = {**GOOD["labels"], **changes}  # type: ignore[dict-item]
    return {**GOOD, "labels": {key: value for key, value in merged.items() if value is not None}}


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        pytest.param("x", "an alert is a string; it should be an object", id="alert a string"),
        pytest.param({"status": "firing"}, "labels is missing; it should be an object", id="no labels"),
        pytest.param({**GOOD, "labels": []}, "labels is a list; it should be an object", id="labels a list"),
        pytest.param(labels(alertname=None), "label alertname is missing", id="no name"),
        pytest.param(labels(alertname=7), "label alertname is missing", id="name a number"),
        pytest.param(labels(service=None), "label service is missing", id="no service"),
        pytest.param(labels(host=None), "label host is missing", id="no host"),
        pytest.param(
            {**GOOD, "status": "maybe"}, "status is 'maybe'; it should be 'firing' or 'resolved'", id="status"
        ),
        pytest.param(
            {**GOOD, "status": 1}, "status is 1; it should be 'firing' or 'resolved'", id="status a number"
        ),
    ],
)
def test_an_alert_that_cannot_be_used_says_why(item: Any, fault: str) -> None:
    first, second = parse(payload(item, GOOD))
    assert first.fault == fault
    assert second.fault is None, "a good alert next to a faulty one counts"


def test_a_good_alert() -> None:
    assert parse(payload(GOOD)) == (
        Alert("LocumServiceDown", "firing", "www", "a", "2026-01-01T00:00:00Z", "c0ffee"),
    )


def test_the_address_alerts_speak_of_no_host() -> None:
    (alert,) = parse(payload(labels(alertname="LocumAddressUnheld", host=None)))
    assert (alert.host, alert.fault) == (None, None)


def test_root_status_is_not_believed() -> None:
    (alert,) = parse(payload({**GOOD, "status": "resolved"}, status="firing"))
    assert alert.status == "resolved"


def test_half_a_surrogate_pair_is_a_question_mark() -> None:
    """It would fail in the journal, and the whole webhook would be sent again and again."""
    labels = {"alertname": "\ud800", "service": "www\udfff", "host": "a"}
    (alert,) = parse({"version": "4", "alerts": [{"status": "firing", "labels": labels}]})
    assert (alert.name, alert.service, alert.host) == ("?", "www?", "a")

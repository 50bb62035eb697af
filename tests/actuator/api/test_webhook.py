"""The HTTP side: what is accepted, what is refused and in which words, and that the program goes on."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from flask.testing import FlaskClient

from locum_actuator.app import MAX_BODY_BYTES, create_app
from locum_actuator.chain.watch import ChainPart
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.journal.database import JournalError
from locum_inventory.site.model import Site
from tests.actuator.fakes import FakeWorld, site

TOKEN = "a-token-of-twenty-four-c"
AUTH = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def client(engine: Engine) -> FlaskClient:
    return create_app(engine, TOKEN, "api-token-of-some-length", ReloadResult).test_client()


def alert(name: str = "LocumServiceDown", status: str = "firing", **labels: Any) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "service": "www", "host": "a", **labels},
        "startsAt": "2026-01-01T00:00:00Z",
        "fingerprint": "f",
    }


def body(*alerts: Any, **root: Any) -> str:
    return json.dumps({"version": "4", "status": "firing", "alerts": list(alerts), **root})


def test_accepted_means_in_the_journal(client: FlaskClient, engine: Engine) -> None:
    answer = client.post("/webhook", data=body(alert()), headers=AUTH)
    assert (answer.status_code, answer.json) == (202, {"verdicts": {"accepted": 1}})
    (row,) = engine.journal.alerts()
    assert (row["name"], row["verdict"]) == ("LocumServiceDown", "woke the worker, which looks again")


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        pytest.param("{", 400, "the body is not JSON", id="not JSON"),
        pytest.param("", 400, "the body is not JSON", id="empty"),
        pytest.param(body(alert())[:-7], 400, "the body is not JSON", id="truncated"),
        pytest.param("[" * 100_000, 400, "the body is not JSON", id="nested deep"),
        pytest.param(b"\xff\xfe\x00", 400, "the body is not JSON", id="binary"),
        pytest.param(
            body(alert(), version="5"),
            400,
            "version is '5'; this actuator reads Alertmanager's webhook version '4'",
            id="wrong version",
        ),
        pytest.param(body(), 400, "alerts is empty; a webhook contains at least one alert", id="no alerts"),
        pytest.param("x" * 5_000_000, 413, f"the body is larger than {MAX_BODY_BYTES} bytes", id="5 MB body"),
    ],
)
def test_refused_with_a_reason(
    client: FlaskClient, engine: Engine, data: str | bytes, status: int, words: str
) -> None:
    answer = client.post("/webhook", data=data, headers=AUTH)
    assert (answer.status_code, answer.json) == (status, {"error": words})
    assert engine.journal.alerts() == []
    assert client.post("/webhook", data=body(alert()), headers=AUTH).status_code == 202, "and it goes on"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"Authorization": "Bearer wrong"}, id="wrong"),
        pytest.param({"Authorization": f"Basic {TOKEN}"}, id="basic"),
        pytest.param({"Authorization": f"Bearer {TOKEN}x"}, id="longer"),
        pytest.param({"Authorization": "Bearer "}, id="empty"),
        pytest.param({"Authorization": "Bearer \u00fc"}, id="not ASCII"),
    ],
)
def test_without_the_token_nothing_is_read(
    client: FlaskClient, engine: Engine, headers: dict[str, str]
) -> None:
    answer = client.post("/webhook", data=body(alert()), headers=headers)
    assert (answer.status_code, answer.json) == (401, {"error": "the bearer token is missing or wrong"})
    assert engine.journal.alerts() == []


@pytest.mark.parametrize(
    ("item", "verdict", "words"),
    [
        pytest.param(
            alert(status="resolved"), "resolved", "resolved: recorded, never acted on", id="resolved"
        ),
        pytest.param(
            alert(service="mail"), "unknown", "no service 'mail' in the site file", id="unknown service"
        ),
        pytest.param(
            alert(host="b"),
            "not_holder",
            "b is not the holder of www; a is",
            id="a host that is not the holder",
        ),
        pytest.param(
            alert(name="Watchdog"),
            "ignored",
            "Watchdog is not an alert that locum acts on",
            id="another's alert",
        ),
        pytest.param(
            {"status": "firing", "labels": {"alertname": "LocumServiceDown"}},
            "faulty",
            "not usable: label service is missing",
            id="missing label",
        ),
        pytest.param(
            alert(service=["www"]),
            "faulty",
            "not usable: label service is missing",
            id="a label of a wrong type",
        ),
        pytest.param(
            "x", "faulty", "not usable: an alert is a string; it should be an object", id="not an object"
        ),
    ],
)
def test_recorded_and_no_harm(
    client: FlaskClient, engine: Engine, world: FakeWorld, item: Any, verdict: str, words: str
) -> None:
    world.gates["a"].processes = 0  # had it been taken for an order, something would be done
    answer = client.post("/webhook", data=body(item), headers=AUTH)
    assert (answer.status_code, answer.json) == (202, {"verdicts": {verdict: 1}})
    assert engine.journal.alerts()[0]["verdict"] == words
    assert engine.journal.incidents() == []


@pytest.mark.parametrize(
    "starts_at",
    ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "yesterday", 12, None],
)
def test_a_clock_that_is_far_off_makes_no_difference(
    client: FlaskClient, engine: Engine, starts_at: object
) -> None:
    answer = client.post("/webhook", data=body({**alert(), "startsAt": starts_at}), headers=AUTH)
    assert (answer.status_code, answer.json) == (202, {"verdicts": {"accepted": 1}})
    assert engine.journal.alerts()[0]["verdict"] == "woke the worker, which looks again"


def test_duplicates_are_by_design(client: FlaskClient, engine: Engine) -> None:
    for _ in range(3):
        assert client.post("/webhook", data=body(alert(), alert()), headers=AUTH).status_code == 202
    assert len(engine.journal.alerts()) == 6


def test_ten_thousand_alerts(client: FlaskClient, engine: Engine) -> None:
    answer = client.post("/webhook", data=body(*[alert(host="b")] * 10_000), headers=AUTH)
    assert answer.json == {"verdicts": {"not_holder": 10_000}}
    assert len(engine.journal.alerts(limit=20_000)) == 10_000


def test_a_journal_that_cannot_be_written_asks_to_send_again(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(alerts: object) -> list[int]:
        raise JournalError("disk full")

    monkeypatch.setattr(engine.journal, "accept", full)
    answer = client.post("/webhook", data=body(alert()), headers=AUTH)
    assert (answer.status_code, answer.json) == (
        503,
        {"error": "the journal cannot be written; send the request again"},
    )


def test_a_heartbeat_makes_ready_and_is_not_journaled(client: FlaskClient, engine: Engine) -> None:
    engine.start()
    assert client.get("/-/ready").status_code == 503
    age = "locum_actuator_heartbeat_age_seconds"
    assert engine.metrics.registry.get_sample_value(age) == math.inf
    answer = client.post("/webhook", data=body(alert(name="LocumHeartbeat")), headers=AUTH)
    assert answer.json == {"verdicts": {"heartbeat": 1}}
    assert 0 <= (engine.metrics.registry.get_sample_value(age) or 0) < 5
    assert client.get("/-/ready").status_code == 200
    assert engine.journal.alerts() == []


def test_ready_page_and_api_name_what_is_missing(engine: Engine) -> None:
    there, away = (
        ChainPart("prometheus", up=True, text="answers"),
        ChainPart("rules", up=False, text="Prometheus lacks <x>"),
    )
    unknown = ChainPart("exporter b")
    client = create_app(engine, TOKEN, None, ReloadResult, lambda: [there, away, unknown]).test_client()
    engine.start()
    client.post("/webhook", data=body(alert(name="LocumHeartbeat")), headers=AUTH)
    answer = client.get("/-/ready")
    assert (answer.status_code, answer.text) == (
        503,
        "rules: Prometheus lacks <x>; exporter b: not checked yet\n",
    )
    page = client.get("/").text
    assert "</span>missing</td>" in page
    assert "Prometheus lacks &lt;x&gt;" in page
    chain = client.get("/api/v1/chain").json
    assert chain is not None
    assert [(part["part"], part["up"]) for part in chain["parts"]] == [
        ("prometheus", True), ("rules", False), ("exporter b", None),
    ]  # fmt: skip
    assert chain["unready"] == answer.text.strip()


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        pytest.param("/api/v1/services/mail", 404, "no service 'mail'; there is www", id="unknown service"),
        pytest.param("/api/v1/services/mail/explain", 404, "no service 'mail'; there is www", id="explain"),
        pytest.param(
            "/api/v1/incidents?service=mail", 404, "no service 'mail'; there is www", id="incidents"
        ),
    ],
)
def test_api_says_what_there_is(client: FlaskClient, path: str, status: int, error: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json) == (status, {"error": error})


def test_explain_looks_and_does_nothing(client: FlaskClient, world: FakeWorld) -> None:
    world.gates["a"].processes = 0
    answer = client.get("/api/v1/services/www/explain")
    assert answer.json is not None
    assert answer.json["plan"]["kind"] == "respawn"
    assert world.gates["a"].calls == []


def test_the_page_shows_the_holder(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "Held by <strong>a</strong>" in page
    assert "192.0.2.100/24" in page


def test_metrics_are_there_before_anything_happens(client: FlaskClient) -> None:
    text = client.get("/metrics").text
    assert 'locum_actuator_holder{host="a",service="www"} 1.0' in text
    assert 'locum_actuator_takeovers_total{service="www"} 0.0' in text


def test_reload_needs_the_api_token(client: FlaskClient) -> None:
    assert client.post("/-/reload", headers=AUTH).status_code == 401
    given = {"Authorization": "Bearer api-token-of-some-length"}
    assert client.post("/-/reload", headers=given).status_code == 200


def test_a_reload_keeps_journal_and_holder(engine: Engine) -> None:
    engine.start()
    values: Site = site(mode="observe")
    engine.reload(values)
    assert engine.site.services["www"].takeover.mode == "observe"
    assert engine.workers["www"].is_alive()
    assert engine.journal.holder("www").host == "a"

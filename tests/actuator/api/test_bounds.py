"""Requests that no one sends by mistake: each is refused in one line, and none ends in a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from locum_actuator.app import create_app
from locum_actuator.cli import main
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult

WEBHOOK, API = "a-webhook-token-of-some-length", "an-api-token-of-some-length"
HUGE = (2**63 - 1, 2**63, 10**23, 10**400, "9" * 5000, "٣", "１２", "-1", "1e9", "0x10")  # noqa: RUF001


@pytest.fixture(scope="module")
def app(lasting_engine: Engine) -> Flask:
    app = create_app(lasting_engine, WEBHOOK, API, ReloadResult)
    app.config["PROPAGATE_EXCEPTIONS"] = False  # as a client sees it
    return app


@pytest.fixture
def client(app: Flask, lasting_engine: Engine) -> Iterator[FlaskClient]:
    yield app.test_client()
    # What a request began would have the next one refused for another reason than its own.
    lasting_engine.move_requests._begun.clear()
    lasting_engine.journal.pauses.end("www")


@pytest.mark.parametrize("number", HUGE, ids=lambda number: str(number)[:24])
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/incidents/{}", "/incidents/{}", "/page/live/incidents/{}", "/api/v1/incidents?limit={}",
        "/incidents?before={}", "/api/v1/services/www/mirror/divergence?one={}&other={}",
    ],
)  # fmt: skip
def test_e7_a_number_of_any_length_is_no_fault_of_ours(
    client: FlaskClient, path: str, number: object
) -> None:
    answer = client.get(path.format(number, number), headers={"Authorization": f"Bearer {API}"})
    assert answer.status_code < 500, answer.data
    assert len(answer.data) < 100_000


BIG = "9" * 5000
BODIES: dict[str, str | bytes] = {
    "a number that no float holds": f'{{"seconds": 1{"0" * 400}}}',
    "a number that Python does not read": f'{{"seconds": {BIG}}}',
    "infinity": '{"seconds": Infinity}',
    "not a number": '{"seconds": NaN}',
    "a float beyond floats": '{"seconds": 1e999}',
    "nested without end": '{"seconds": ' + "[" * 100_000,
    "nested objects without end": '{"a":' * 100_000,
    "half a character": '{"reason": "\\ud800", "by": "\\udfff"}',
    "half a character as a key": '{"\\ud800": 1}',
    "NUL": '{"reason": "a\\u0000b", "by": "\\u0000"}',
    "a list as a host": '{"to": ["b"]}',
    "an object as a host": '{"to": {"b": 1}, "host": {}}',
    "a number as a run": f'{{"host": "b", "run": 1{"0" * 400}}}',
    "another encoding": '{"reason": "x"}'.encode("utf-16"),
    "a key twice": '{"seconds": 60, "seconds": 1e999}',
    "a reason without end": json.dumps({"reason": "x" * 1_000_000}),
}
POSTS = [
    f"/api/v1/services/www/{verb}"
    for verb in ("pause", "resume", "switchover", "failback", "mirror", "mirror/restore")
]


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in BODIES.items()])
@pytest.mark.parametrize("path", POSTS)
def test_e7_a_body_of_any_kind_is_answered_in_one_line(
    client: FlaskClient, path: str, body: str | bytes
) -> None:
    headers = {"Authorization": f"Bearer {API}", "Content-Type": "application/json"}
    answer = client.post(path, data=body, headers=headers)
    assert answer.status_code < 500, answer.data
    assert len(answer.data) < 10_000
    if answer.status_code >= 400:
        assert answer.json is not None
        assert "\n" not in answer.json["error"]


def webhook(**changed: Any) -> str:
    alert = {"status": "firing", "labels": {"alertname": "LocumServiceDown", "service": "www", "host": "a"}}
    return json.dumps({"version": "4", "alerts": [{**alert, **changed}]})


ALERTS = {
    "a label without end": webhook(labels={"alertname": "LocumServiceDown", "service": "x" * 1_000_000}),
    "NUL in a label": webhook(labels={"alertname": "Locum\0", "service": "\0", "host": "\0"}),
    "half a character": webhook(labels={"alertname": "\ud800", "service": "\udfff", "host": "\ud800"}),
    "a status without end": webhook(status="x" * 1_000_000),
    "a time without end": webhook(startsAt="9" * 1_000_000),
    "a time before time": webhook(startsAt="0000-00-00T00:00:00Z"),
    "a version without end": json.dumps({"version": "9" * 1_000_000, "alerts": []}),
    "a number as a version": f'{{"version": 1{"0" * 400}, "alerts": []}}',
    "ten thousand alerts": json.dumps({"version": "4", "alerts": [{}] * 10_000}),
    "labels of all kinds": webhook(labels={"alertname": 1, "service": [], "host": {}}),
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in ALERTS.items()])
def test_e7_a_webhook_of_any_kind_is_answered_in_one_line(client: FlaskClient, body: str) -> None:
    answer = client.post("/webhook", data=body, headers={"Authorization": f"Bearer {WEBHOOK}"})
    assert answer.status_code in {202, 400}, answer.data
    assert len(answer.data) < 10_000


@pytest.mark.parametrize(
    "words",
    [
        ["incident", str(10**23)], ["incident", "9" * 5000], ["mirror", "www", "--restore", str(10**23)],
        ["mirror", "www", "--allow-deletions", str(10**400)], ["incidents", "--limit", str(10**23)],
        ["pause", "www", "--for", "9" * 5000 + "d"],
    ],
    ids=lambda words: " ".join(words)[:40],
)  # fmt: skip
def test_e7_a_number_of_any_length_on_the_command_line(words: list[str]) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.output

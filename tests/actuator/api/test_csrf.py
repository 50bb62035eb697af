"""What other web sites have a browser send is refused; what people's pages and programs send is not."""

from __future__ import annotations

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from locum_actuator.api.csrf import install_csrf_protection, is_this_machine

HERE = "127.0.0.1:10752"
JSON = {"Content-Type": "application/json"}
FOREIGN = "the request comes from another web site"


@pytest.fixture
def client() -> FlaskClient:
    app = Flask(__name__)
    install_csrf_protection(app)
    for path in ("/act", "/webhook", "/-/ready"):
        app.add_url_rule(path, path, lambda: Response("done"), methods=["GET", "POST"])
    return app.test_client()


HOSTS = {
    "127.0.0.1:10752": True,
    "127.0.0.1": True,
    "127.9.9.9:80": True,
    "localhost:8080": True,
    "LOCALHOST": True,
    "locum.localhost:10752": True,
    "[::1]:10752": True,
    "evil.example:10752": False,
    "127.0.0.1.evil.example": False,
    "localhost.evil.example": False,
    "192.0.2.2:10752": False,
    "[::1": False,
    "": False,
    "user@evil.example": False,
}


@pytest.mark.parametrize(("host", "ours"), HOSTS.items())
def test_hosts_that_are_this_machine(host: str, ours: bool) -> None:
    assert is_this_machine(host) is ours


def test_a_program_that_names_no_host_is_let_through() -> None:
    assert is_this_machine(None)


POSTS: dict[str, tuple[dict[str, str], int, str]] = {
    "our page": ({"Sec-Fetch-Site": "same-origin", "Origin": f"http://{HERE}", **JSON}, 200, "done"),
    "our page, an older browser": ({"Origin": f"http://{HERE}", **JSON}, 200, "done"),
    "our page behind a proxy with a name": (
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://locum.example", **JSON}, 200, "done",
    ),
    "a program": (JSON, 200, "done"),
    "JSON with its charset": ({"Content-Type": "application/json; charset=utf-8"}, 200, "done"),
    "another site's script": ({"Sec-Fetch-Site": "cross-site", **JSON}, 403, FOREIGN),
    "another port of this machine": ({"Sec-Fetch-Site": "same-site", **JSON}, 403, FOREIGN),
    "another site, an older browser": ({"Origin": "http://evil.example", **JSON}, 403, FOREIGN),
    "another port, an older browser": ({"Origin": "http://127.0.0.1:3000", **JSON}, 403, FOREIGN),
    "a page without an origin": ({"Origin": "null", **JSON}, 403, FOREIGN),
    "a form": (
        {"Content-Type": "application/x-www-form-urlencoded"}, 415,
        "send JSON, with Content-Type: application/json",
    ),
    "a form that looks like text": (
        {"Content-Type": "text/plain"}, 415, "send JSON, with Content-Type: application/json",
    ),
    "a body of no type": ({}, 415, "send JSON, with Content-Type: application/json"),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "status", "words"), POSTS.values(), ids=POSTS)
def test_posts(client: FlaskClient, headers: dict[str, str], status: int, words: str) -> None:
    answer = client.post("/act", data=b"{}", headers={"Host": HERE, **headers})
    assert (answer.status_code, (answer.json or {}).get("error") if status != 200 else answer.text) == (
        status, words,
    )  # fmt: skip


def test_a_post_without_a_body_needs_no_type(client: FlaskClient) -> None:
    assert client.post("/act", headers={"Host": HERE}).status_code == 200


def test_a_name_that_was_rebound_sees_nothing(client: FlaskClient) -> None:
    answer = client.get("/act", headers={"Host": "evil.example", "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 421
    assert answer.json == {"error": "the Host header names another machine: use 127.0.0.1 or localhost"}


@pytest.mark.parametrize("path", ["/webhook", "/-/ready"])
def test_the_chain_is_let_through_whatever_it_calls_us(client: FlaskClient, path: str) -> None:
    assert client.post(path, data=b"{}", headers={"Host": "actuator.internal"}).status_code == 200


@pytest.mark.parametrize(("path", "host"), [("/act", HERE), ("/act", "evil.example"), ("/none", HERE)])
def test_every_answer_forbids_frames_and_strange_scripts(client: FlaskClient, path: str, host: str) -> None:
    headers = client.get(path, headers={"Host": host}).headers
    assert headers["X-Frame-Options"] == "DENY"
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"

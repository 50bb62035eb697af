"""docs/api.md says of every route and every field what it is, and names none that is not there."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from locum_actuator.app import create_app
from locum_actuator.domain.alerts import WOKE
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.incident import Incident
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.journal.journal import AlertRow, Journal
from locum_actuator.metrics import Metrics
from locum_exporter.app import Exporter
from locum_exporter.net.icmp import Pinger
from locum_exporter.net.neighbours import Neighbours
from locum_exporter.runner import Runner
from tests.actuator.fakes import FakeGate, FakeWorld, KeptFakes, site
from tests.exporter import sites

DOCUMENT = (Path(__file__).parents[1] / "docs/api.md").read_text()
API, WEBHOOK = "an-api-token-of-some-length", "a-webhook-token-of-some-length"
BEARERS = {"no": None, "API": API, "webhook": WEBHOOK}


def section(heading: str) -> str:
    """Return the text below a heading, up to the next of any level."""
    return re.split(r"^#+ ", DOCUMENT.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def fields(heading: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", section(heading), re.MULTILINE))


ROUTES = dict(re.findall(r"^\| `([A-Z]+ \S+)` \| (\w+) \|", section("The actuator"), re.MULTILINE))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """An actuator that has once been woken by an alert and found nothing."""
    world = FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})
    journal = Journal(tmp_path_factory.mktemp("state") / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    engine = Engine(site(), journal, Metrics(), lambda _: KeptFakes(world), lambda _site, _shells: world)
    alerts = journal.accept([AlertRow("LocumServiceDown", "www", "a", "firing", None, "f", WOKE)])
    number = journal.open_incident("www", "LocumServiceDown")
    journal.attach(alerts, number)
    Incident(engine.context("www"), number).handle(threading.Event())
    yield create_app(engine, WEBHOOK, API, ReloadResult).test_client()
    engine.stop()
    journal.close()


def _route(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda name: name[1].upper(), rule)


def test_every_route_of_the_actuator_and_no_other(client: FlaskClient) -> None:
    there = {
        f"{method} {_route(rule.rule)}"
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    assert set(ROUTES) == there


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_wants_the_token_that_it_is_said_to_want(client: FlaskClient, route: str) -> None:
    method, _, path = route.partition(" ")
    path = path.replace("NAME", "www").replace("NUMBER", "1")
    wanted = BEARERS[ROUTES[route]]
    for token in (None, API, WEBHOOK):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        status = client.open(path, method=method, headers=headers, data="[").status_code
        assert (status == 401) == (wanted not in {None, token}), f"{route} with {token}: {status}"


async def test_every_route_of_the_exporter_and_no_other() -> None:
    async with Pinger() as pinger, Neighbours() as neighbours:
        runner = Runner(sites.site(), this_name="b", pinger=pinger, neighbours=neighbours, gates={})
        router = Exporter(runner).app().router
        there = {
            f"{route.method} {route.resource.canonical}"
            for route in router.routes()
            if route.method != "HEAD" and route.resource is not None
        }
    assert set(re.findall(r"^\| `([A-Z]+ \S+)` \|", section("The exporter"), re.MULTILINE)) == there


def test_the_fields_of_an_incident(client: FlaskClient) -> None:
    (listed,) = client.get("/api/v1/incidents").get_json()["incidents"]
    incident: dict[str, Any] = client.get("/api/v1/incidents/1").get_json()["incident"]
    assert listed == incident
    assert fields("An incident") == set(incident)
    assert fields("The impact of an incident") == set(incident["impact"])
    assert fields("An alert of an incident") == set(incident["alerts"][0])
    assert fields("An event of an incident") == set(incident["events"][0])
    data = incident["events"][0]["data"]
    assert fields("The data of a decision") == {
        *data,
        "copies",
    }  # tests/actuator/decision/test_failover_stale_copies.py has some


def test_the_fields_of_a_service(client: FlaskClient) -> None:
    assert fields("A service") == set(client.get("/api/v1/services/www").get_json())

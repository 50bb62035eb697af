"""`locum check --live` says what a reload would leave behind, before a person reloads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from locum_actuator.cli.live_check.reload import differences
from locum_actuator.engine.engine import Engine
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_inventory.site.model import Site
from tests.actuator.fakes import FakeGate, FakeWorld, KeptFakes, site
from tests.support.http_server import served_api


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An actuator that has read the documentation's site; a holds www."""
    world = FakeWorld({"a": FakeGate(), "b": FakeGate()})
    journal = Journal(tmp_path_factory.mktemp("state") / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    engine = Engine(site(), journal, Metrics(), lambda _: KeptFakes(world), lambda _site, _gates: world)
    with served_api(engine) as address:
        yield address
    journal.close()


def read(name: str = "www", **changes: object) -> Site:
    """Return the site with changed keys of its service, or with its service under another name."""
    values = site().model_dump()
    values["hosts"]["c"] = {"address": "192.0.2.3", "ssh": {}}
    values["services"] = {name: {**values["services"]["www"], "address_commands": None, **changes}}
    return Site.model_validate(values)


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        pytest.param(read(interval="1s"), [], id="nothing that leaves anything behind"),
        pytest.param(
            read("web"),
            [
                "running actuator: www is no longer in the site file: after a reload it stays on a,"
                " unmonitored"
            ],
            id="a service is gone",
        ),
        pytest.param(
            read(addresses=["192.0.2.101/24"]),
            [
                "running actuator: 192.0.2.100 of www is no longer in the site file: a reload is refused while a"
                " host has it; fix: locum pause www, remove it from a, reload, locum resume www"
            ],
            id="an address is gone",
        ),
        pytest.param(
            read(hosts=["b", "c"], interface="eth0"),
            [
                "running actuator: a holds www and is no longer among its hosts: a reload is refused while it has"
                " the address; fix: move the service to another of its hosts first"
            ],
            id="the holder is gone",
        ),
    ],
)
def test_what_a_reload_would_leave_behind(url: str, file: Site, lines: list[str]) -> None:
    assert [finding.line for finding in asyncio.run(differences(file, url))] == lines


def test_without_an_actuator_there_is_nothing_to_say() -> None:
    assert asyncio.run(differences(read("web"), "http://127.0.0.1:1")) == []

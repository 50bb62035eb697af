"""Two real Alertmanagers in a cluster that both deliver: that is by design, and one fault is one incident."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from locum_actuator.app import create_app
from locum_actuator.engine import own_checks, patrol
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.engine.worker import START_UP
from locum_actuator.listeners import tcp_socket
from locum_actuator.stack.alertmanager import alertmanager_text
from locum_actuator.stack.layout import StackLayout
from locum_actuator.web.certificate import Certificate
from locum_actuator.web.lanes import Lane
from locum_actuator.web.listener import Bounds, Listener
from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import ServiceStatus, Verb
from locum_inventory.listen import Listen
from tests.actuator.fakes import FakeGate, FakeWorld, site
from tests.support.polling import wait_for
from tests.support.ports import unused_port

pytestmark = pytest.mark.e2e

TOKEN = "a-token-of-twenty-four-c"
ANSWER_SECONDS = 0.5
RESPAWN_SECONDS = 2.0  # both deliveries come while the first is worked upon


class SlowGate(FakeGate):
    """A gate whose respawn takes its time."""

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Wait where it is a respawn."""
        if verb == "respawn":
            time.sleep(RESPAWN_SECONDS)
        return super().run_verb(verb, service, epoch, deadline_seconds=deadline_seconds, permit=permit)


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld({"a": SlowGate(held=True, processes=3, epoch=1), "b": FakeGate()})


@pytest.fixture(
    params=[
        pytest.param((60.0, "LocumServiceDown"), id="an alert comes first"),
        pytest.param((0.1, "patrol: the service does not answer on a"), id="a round finds it first"),
    ]
)
def trigger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What opens the incident: the actuator's own rounds look for the fault too, so it is said who is first."""
    seconds, first = request.param
    for module, name in (
        (patrol, "CALM_SECONDS"),
        (patrol, "WARY_SECONDS"),
        (own_checks, "EVERY_SECONDS"),
    ):
        monkeypatch.setattr(module, name, seconds)
    return str(first)


@pytest.fixture
def engine(engine: Engine, trigger: str) -> Engine:
    """The engine that all tests share, started."""
    engine.start()
    return engine


@pytest.fixture
def webhook(engine: Engine, tmp_path: Path) -> Iterator[Listen]:
    listen = Listen("127.0.0.1", unused_port())
    app = create_app(engine, TOKEN, None, ReloadResult)

    def slowly(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # An Alertmanager tells its peer only of what was answered: until then both are at it.
        time.sleep(ANSWER_SECONDS)
        return app(environ, start_response)

    certificate = Certificate.in_state(tmp_path)
    certificate.make()
    listener = Listener(
        "webhook", tcp_socket(listen.host, listen.port), slowly, Bounds(64, 1 << 20),
        ours=Lane("webhook", 2), strangers=Lane("others", 2), tls=certificate.server_context(),
    )  # fmt: skip
    thread = threading.Thread(target=listener.run, daemon=True)
    thread.start()
    yield listen
    listener.close()
    thread.join(5)


@contextmanager
def _alertmanager(config: Path, listen: Listen, gossip: Listen, peer: Listen) -> Iterator[None]:
    command = [
        shutil.which("prometheus-alertmanager") or "alertmanager",
        f"--config.file={config}",
        f"--storage.path={config.parent / str(listen.port)}",
        f"--web.listen-address={listen}",
        f"--cluster.listen-address={gossip}",
        f"--cluster.advertise-address={gossip}",
        f"--cluster.peer={peer}",
        "--cluster.peer-timeout=0s",  # the second waits for no word of the first, as when gossip is late
        "--cluster.settle-timeout=1s",
    ]
    with (config.parent / f"{listen.port}.log").open("wb") as log:
        program = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        program.terminate()
        program.wait(10)


@pytest.fixture
def alertmanagers(webhook: Listen, tmp_path: Path) -> Iterator[list[Listen]]:
    first, second, gossip_one, gossip_two = (Listen("127.0.0.1", unused_port()) for _ in range(4))
    token = tmp_path / "token"
    token.write_text(TOKEN)
    values = site()
    actuator = values.actuator.model_copy(update={"webhook_token_file": token, "state_directory": tmp_path})
    stack = StackLayout.of(values.model_copy(update={"actuator": actuator}), webhook=webhook)
    config = tmp_path / "alertmanager.yml"
    config.write_text(alertmanager_text(stack))
    with ExitStack() as running:
        running.enter_context(_alertmanager(config, first, gossip_one, gossip_two))
        running.enter_context(_alertmanager(config, second, gossip_two, gossip_one))
        for one in (first, second):
            _until_there_are_two(one)
        yield [first, second]


def _until_there_are_two(listen: Listen) -> None:
    def peers() -> int:
        with (
            suppress(OSError, KeyError),
            urllib.request.urlopen(f"{listen.url}/api/v2/status", timeout=2) as answer,
        ):
            return len(json.load(answer)["cluster"]["peers"])
        return 0

    wait_for(lambda: peers() == 2, f"{listen} and the other Alertmanager are one cluster")


def _tell(listen: Listen) -> None:
    labels = {"alertname": "LocumServiceDown", "service": "www", "host": "a", "locum_action": "true"}
    body = json.dumps([{"labels": labels}]).encode()
    asked = urllib.request.Request(
        f"{listen.url}/api/v2/alerts", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(asked, timeout=5) as answer:
        assert answer.status == 200


def test_both_deliver_and_one_incident_comes_of_it(
    alertmanagers: list[Listen], engine: Engine, world: FakeWorld, trigger: str
) -> None:
    world.gates["a"].processes = 0
    tellers = [threading.Thread(target=_tell, args=(one,)) for one in alertmanagers]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    time.sleep(ANSWER_SECONDS + RESPAWN_SECONDS + 1)
    accepted = [row for row in engine.journal.alerts() if row["name"] == "LocumServiceDown"]
    assert len(accepted) >= 2, "both delivered"
    of_the_fault = [row for row in engine.journal.incidents() if row["trigger"] != START_UP]
    assert [(row["trigger"], row["outcome"]) for row in of_the_fault] == [(trigger, "respawn")]
    assert {row["incident"] for row in accepted} == {of_the_fault[0]["id"]}, "all count to the one"
    assert world.gates["a"].calls.count("respawn") == 1

"""Who watches the watcher: real servers play the parts of the chain, and go."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from locum_actuator.chain.health import (
    ChainEndpoints,
    PartHealth,
    judge_rules,
    look,
    looking_session,
    shipped_rules,
)
from locum_actuator.chain.samples import judge_samples
from locum_actuator.chain.watch import ChainPart, ChainWatch, judge_heartbeat, judge_rounds
from locum_actuator.metrics import Metrics
from locum_inventory.site.model import ChainParts
from tests.support.http_server import QuietHandler, http_server
from tests.support.polling import wait_for


def rules(*leave_out: str, faulty: str | None = None) -> dict[str, Any]:
    """What Prometheus says of the shipped rules, without some groups."""
    groups: dict[str, list[dict[str, str]]] = {"of another site": [{"name": "Other", "health": "err"}]}
    for group, name in shipped_rules():
        if group not in leave_out:
            bad = {"health": "err", "lastError": "many-to-many"} if name == faulty else {"health": "ok"}
            groups.setdefault(group, []).append({"name": name, **bad})
    return {"data": {"groups": [{"name": name, "rules": listed} for name, listed in groups.items()]}}


@dataclass
class Played:
    """One server that is exporter, Prometheus and Alertmanager at once."""

    status: int = 200
    rules_status: int = 200
    rules: Any = field(default_factory=rules)
    late_seconds: float = 0.0
    alerts: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def chain(self) -> ChainEndpoints:
        return ChainEndpoints({"b": self.url}, ChainParts(prometheus=self.url, alertmanagers=(self.url,)))


def _handler(played: Played) -> type[QuietHandler]:
    class Handler(QuietHandler):
        def get(self) -> None:
            time.sleep(played.late_seconds)
            if self.path == "/api/v1/rules":
                self.answer(json.dumps(played.rules), played.rules_status)
            else:
                self.answer(status=played.status)

        def post(self, body: bytes) -> None:
            played.alerts += json.loads(body)
            time.sleep(played.late_seconds)
            self.answer()

    return Handler


@pytest.fixture
def played() -> Iterator[Played]:
    played = Played()
    with http_server(_handler(played)) as at:
        played.url = at.url
        yield played


async def _look(chain: ChainEndpoints) -> dict[str, PartHealth]:
    async with looking_session() as session:
        return await look(session, chain)


async def test_all_there(played: Played) -> None:
    at = played.url.removeprefix("http://")
    assert await _look(played.chain()) == {
        "exporter b": PartHealth(True, f"answers at {played.url}/-/healthy"),
        "prometheus": PartHealth(True, f"answers at {played.url}/-/ready"),
        f"alertmanager {at}": PartHealth(True, f"answers at {played.url}/-/ready"),
        "rules": PartHealth(True, f"Prometheus has all {len(shipped_rules())} of them"),
    }


MISSING: dict[str, tuple[dict[str, Any], str, str]] = {
    "not ready": ({"status": 503}, "answers 503 at {url}/-/ready", "has all"),
    "slow": (
        {"late_seconds": 2.0},
        "does not answer at {url}/-/ready (no answer within 1.5 s)",
        "could not check: {url}/api/v1/rules does not answer (no answer within 1.5 s)",
    ),
    "another program on the port": (
        {"rules_status": 404},
        "answers at {url}/-/ready",
        "could not check: {url}/api/v1/rules answers 404",
    ),
    "not Prometheus's answer": (
        {"rules": []},
        "answers at {url}/-/ready",
        "could not check: {url}/api/v1/rules does not answer (ValueError)",
    ),
}


@pytest.mark.parametrize(("what", "prometheus", "of_rules"), MISSING.values(), ids=MISSING)
async def test_what_is_wrong_is_said(
    played: Played, what: dict[str, Any], prometheus: str, of_rules: str
) -> None:
    for name, value in what.items():
        setattr(played, name, value)
    seen = await _look(played.chain())
    assert seen["prometheus"].text == prometheus.format(url=played.url)
    assert of_rules.format(url=played.url) in seen["rules"].text


async def test_a_port_where_nobody_listens() -> None:
    parts = ChainParts(prometheus="http://127.0.0.1:1", alertmanagers=("http://127.0.0.1:1",))
    seen = await _look(ChainEndpoints({}, parts))
    assert seen["prometheus"] == PartHealth(
        False, "does not answer at http://127.0.0.1:1/-/ready (connection refused)"
    )
    assert seen["rules"].up is None, "it could not be checked"


RULES = {
    "none of them": (
        rules(*{group for group, _ in shipped_rules()}),
        "Prometheus has none of locum's rules: `locum generate rules` prints them",
    ),
    "a group is missing": (
        rules("locum-heartbeat"),
        "Prometheus lacks locum-heartbeat/LocumHeartbeat: `locum generate rules` prints all",
    ),
    "one cannot be evaluated": (
        rules(faulty="LocumHeartbeat"),
        "Prometheus cannot evaluate locum-heartbeat/LocumHeartbeat: many-to-many",
    ),
}


@pytest.mark.parametrize(("answer", "text"), RULES.values(), ids=RULES)
def test_rules(answer: dict[str, Any], text: str) -> None:
    assert judge_rules(answer) == PartHealth(False, text)


HEARTBEATS = {
    "none ever": (None, PartHealth(False, "none has arrived through Prometheus and Alertmanager yet")),
    "just now": (0.1, PartHealth(True, "arrives through Prometheus and Alertmanager")),
    "two were lost": (7.9, PartHealth(True, "arrives through Prometheus and Alertmanager")),
    "late": (
        8.6,
        PartHealth(False, "the last one arrived 9 s ago: Prometheus, Alertmanager or the rules are missing"),
    ),
}


@pytest.mark.parametrize(("age", "seen"), HEARTBEATS.values(), ids=HEARTBEATS)
def test_heartbeat(age: float | None, seen: PartHealth) -> None:
    assert judge_heartbeat(age) == seen


UP, DOWN, BLIND = (
    PartHealth(True, "there"),
    PartHealth(False, "away"),
    PartHealth(None, "could not be checked"),
)
LIVES: dict[str, tuple[list[tuple[float, PartHealth]], list[bool | None]]] = {
    "a restart is not reported": ([(0, UP), (2, DOWN), (2.5, DOWN), (3, UP)], [True, True, True, True]),
    "away": ([(0, UP), (2, DOWN), (4.5, DOWN), (5, DOWN)], [True, True, False, False]),
    "and back at once": ([(0, DOWN), (2.5, DOWN), (3, UP)], [None, False, True]),
    "never there": ([(0, DOWN), (1, DOWN), (2.5, DOWN)], [None, None, False]),
    "it cannot be checked": ([(0, UP), (2, BLIND), (4, DOWN), (5, DOWN)], [True, None, None, None]),
    "it flaps: a good check starts the time again": (
        [(0, UP), (2, DOWN), (3, UP), (5, DOWN)],
        [True, True, True, True],
    ),
}


@pytest.mark.parametrize(("looks", "believed"), LIVES.values(), ids=LIVES)
def test_what_is_believed(looks: list[tuple[float, PartHealth]], believed: list[bool | None]) -> None:
    part, found = ChainPart("x"), []
    for now, seen in looks:
        part.take(seen, now)
        found.append(part.up)
    assert found == believed


@pytest.fixture
def watch(played: Played) -> Iterator[ChainWatch]:
    watch = ChainWatch(played.chain, {"journal": lambda: PartHealth(True, "can be written")}, Metrics())
    watch.start()
    yield watch
    watch.end()
    watch.join(5)
    assert not watch.is_alive()


def _up(watch: ChainWatch, name: str) -> bool | None:
    return next((part.up for part in watch.parts() if part.name == name), None)


@pytest.mark.timed
def test_a_lost_prometheus_is_told_within_ten_seconds_and_once(
    watch: ChainWatch, played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    wait_for(
        lambda: all(part.up for part in watch.parts()) and len(watch.parts()) == 5, "all five parts are up", 5
    )
    played.status, played.rules_status = 503, 503
    begun = time.monotonic()
    wait_for(lambda: _up(watch, "prometheus") is False, "prometheus is reported as missing", 10)
    assert time.monotonic() - begun < 8
    wait_for(lambda: played.alerts, "an alert is sent", 5)
    time.sleep(1.2)
    messages = [record.message for record in caplog.records if "prometheus is missing" in record.message]
    assert messages == [f"monitoring chain: prometheus is missing: answers 503 at {played.url}/-/ready"]
    assert 'locum_actuator_chain_up{part="prometheus"} 0.0' in watch._metrics.render().decode()
    assert 'locum_actuator_chain_up{part="rules"} NaN' in watch._metrics.render().decode()
    labels = {"alertname": "LocumChainPartMissing", "part": "prometheus", "severity": "critical"}
    assert [alert["labels"] for alert in played.alerts] == [labels], "sent when it changes, then every 5 s"

    played.status, played.rules_status = 200, 200
    wait_for(lambda: _up(watch, "prometheus") is True, "prometheus is reported as up", 5)
    wait_for(lambda: len(played.alerts) == 2, "a second alert is sent", 5)
    first, last = (alert["endsAt"] for alert in played.alerts)
    assert last < first, "the last one ends it"


DATE = "Sun, 29 Nov 2026 15:28:37 GMT"
AT = 1795966117
SAMPLES: dict[str, tuple[float, str | None, tuple[bool, str] | None]] = {
    "fresh": (AT - 0.4, DATE, (True, "Prometheus stores what it scrapes")),
    "its interval is 15 s": (AT - 20.0, DATE, (True, "Prometheus stores what it scrapes")),
    "its clock was set back by an hour": (
        AT + 3600.0, DATE,
        (False, "its newest sample is 3600 s ahead of its clock, which was set back: until then it drops all"),
    ),
    "it scrapes nothing": (AT - 90.0, DATE, (False, "it has stored no sample for 90 s")),
    "just started": (-9.223372036854776e15, DATE, None),
    "no date": (AT, None, None),
    "a date that is none": (AT, "yesterday", None),
}  # fmt: skip


@pytest.mark.parametrize(("newest", "date", "judged"), SAMPLES.values(), ids=SAMPLES)
def test_b3_a_clock_set_back_is_told(
    newest: float, date: str | None, judged: tuple[bool, str] | None
) -> None:
    text = f"# TYPE x gauge\nx 1\nprometheus_tsdb_head_max_time_seconds {newest}\ny 2\n"
    assert judge_samples(text, date) == judged


def test_b3_what_is_no_prometheus_tells_nothing_of_its_samples() -> None:
    assert judge_samples("vm_rows 5\n", DATE) is None


def test_b3_services_that_the_actuator_cannot_check_are_named() -> None:
    assert judge_rounds({"www": None, "db": None}) == PartHealth(
        True, "the actuator itself checks every service"
    )
    assert judge_rounds({"www": None, "db": "no CA file"}) == PartHealth(
        False, "the actuator cannot check db: no CA file"
    )

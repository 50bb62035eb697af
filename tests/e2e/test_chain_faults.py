"""The chain's own faults on real parts: which part is missing is said in time, and none of it moves a service."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.locum import ALERTMANAGER, HOME, PROMETHEUS, Locum
from lab.trial import FAULTS, trial
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

TOLD_SECONDS = 10.0
BACK_SECONDS = 30.0
ACTED_SECONDS = 10.0
RULES = "/var/lib/locum/chain/locum.rules.yml"
# how the command line of each part of the chain can be known
PROGRAMS = {
    "exporter b": "locum_exporter.server",
    "prometheus": "--storage.tsdb.path",
    "alertmanager 127.0.0.1:9093": "--cluster.listen-address",
}


def _pid(locum: Locum, part: str) -> int:
    for pid, _, state in locum.lab.hosts[HOME].processes():
        if state != "Z" and PROGRAMS[part] in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
            return pid
    raise AssertionError(f"no {part} runs")


def _chain(locum: Locum) -> dict[str, Any]:
    answer: dict[str, Any] = locum.get("http://127.0.0.1:10752/api/v1/chain")
    return answer


def _part(locum: Locum, name: str) -> dict[str, Any]:
    return next(part for part in _chain(locum)["parts"] if part["part"] == name)


def _ready(locum: Locum) -> tuple[int, str]:
    asked = ["curl", "-sS", "--max-time", "5", "-w", "%{http_code}", "http://127.0.0.1:10752/-/ready"]
    text = locum.lab.run(HOME, asked).stdout
    return int(text[-3:]), text[:-3].strip()


def _wait_ready(locum: Locum) -> None:
    wait_for(lambda: _ready(locum)[0] == 200, "ready again", BACK_SECONDS)


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _alert_names(locum: Locum, part: str) -> set[str]:
    alerts = locum.get(f"{ALERTMANAGER}/api/v2/alerts")
    return {one["labels"]["alertname"] for one in alerts if one["labels"].get("part", part) == part}


@pytest.mark.parametrize("part", PROGRAMS)
def test_a_part_that_hangs_is_named_within_ten_seconds(calm: Locum, part: str) -> None:
    """Frozen, its port still takes connections: what asks without a deadline would wait for ever."""
    _wait_ready(calm)
    at = time.time()
    with _frozen(_pid(calm, part)):
        begun = time.monotonic()
        wait_for(lambda: _part(calm, part)["up"] is False, f"{part} missing", TOLD_SECONDS)
        print(f"{part}: reported after {time.monotonic() - begun:.1f} s")
        status, why = _ready(calm)
        assert status == 503
        assert f"{part}: does not answer at http" in why
        assert part in calm.lab.run(HOME, ["curl", "-sS", "http://127.0.0.1:10752/"]).stdout
        assert part in calm.command("status").stdout
        metrics = calm.lab.run(HOME, ["curl", "-sS", "http://127.0.0.1:10752/metrics"]).stdout
        assert f'locum_actuator_chain_up{{part="{part}"}} 0.0' in metrics
        if (
            part == "prometheus"
        ):  # Alertmanager is left to notify people, and only the actuator can post to it
            wait_for(lambda: "LocumChainPartMissing" in _alert_names(calm, part), "alert", 5)
    _wait_ready(calm)
    log = calm.lab.run(HOME, ["cat", "/var/lib/locum/log/actuator.log"]).stdout
    said = [line for line in log.splitlines() if f"chain: {part} is missing" in line]
    assert len(said) == 1, "once"
    outcomes = {row["outcome"] for row in calm.incidents_since(at)}
    assert outcomes <= {"nothing"}, "nothing was done to the service"
    assert calm.lab.client.failed_requests(at) == 0


@pytest.mark.parametrize("part", ["prometheus", "alertmanager 127.0.0.1:9093"])
def test_a_part_that_is_restarted_goes_on_with_its_work(calm: Locum, part: str) -> None:
    _wait_ready(calm)
    at = time.time()
    os.kill(_pid(calm, part), signal.SIGKILL)
    time.sleep(1)
    _wait_ready(calm)
    targets = f"{PROMETHEUS}/api/v1/targets?state=active"
    wait_for(
        lambda: all(one["health"] == "up" for one in calm.get(targets)["data"]["activeTargets"]),
        "targets scraped",
        BACK_SECONDS,
    )
    assert calm.lab.client.failed_requests(at) == 0
    assert [row for row in calm.incidents() if row["outcome"] == "takeover"] == []
    done = trial(calm.lab, calm, FAULTS["killed"])
    assert done.faults() == []


@pytest.mark.parametrize("part", PROGRAMS)
def test_b3_a_dead_service_is_acted_upon_within_ten_seconds_while_a_part_hangs(
    calm: Locum, part: str
) -> None:
    """The actuator's own round runs the deciding checks, and needs no other part for that."""
    _wait_ready(calm)
    with _frozen(_pid(calm, part)):
        wait_for(lambda: _part(calm, part)["up"] is False, f"{part} missing", TOLD_SECONDS)
        at = calm.lab.kill_service("a")
        incident = calm.wait_incident("respawn", since=at, seconds=ACTED_SECONDS)
        calm.lab.client.wait_good(since=at)
        assert incident["trigger"] == "patrol: the service does not answer on a"
        assert incident["opened_at"] - at < ACTED_SECONDS
        print(f"{part}: acted after {incident['opened_at'] - at:.1f} s")
    _wait_ready(calm)


def test_rules_that_are_gone_are_named_and_told(calm: Locum) -> None:
    _wait_ready(calm)
    prometheus = _pid(calm, "prometheus")
    host = calm.lab.hosts[HOME]
    rules = host.root / RULES.lstrip("/")
    text = rules.read_text()
    try:
        rules.write_text("groups: []\n")
        os.kill(prometheus, signal.SIGHUP)
        seconds = wait_for(lambda: _part(calm, "rules")["up"] is False, "rules missing", TOLD_SECONDS)
        print(f"rules: reported after {seconds:.1f} s")
        assert "rules: Prometheus has none of locum's rules" in _ready(calm)[1]
        wait_for(lambda: "LocumChainPartMissing" in _alert_names(calm, "rules"), "alert", 5)
    finally:
        rules.write_text(text)
        os.kill(prometheus, signal.SIGHUP)
    _wait_ready(calm)


def test_a_webhook_whose_clock_is_far_off_is_a_hint_like_any_other(calm: Locum) -> None:
    at = time.time()
    script = (
        'curl -sS --max-time 5 -H "Authorization: Bearer $(cat /etc/locum/webhook.token)"'
        " --data @- http://127.0.0.1:10752/webhook"
    )
    labels = {"alertname": "LocumServiceDown", "service": "www", "host": "a"}
    for starts_at in ("1970-01-01T00:00:00Z", "2199-01-01T00:00:00Z"):
        alert = {"status": "firing", "labels": labels, "startsAt": starts_at}
        answer = calm.lab.run(
            HOME, ["sh", "-c", script], input=json.dumps({"version": "4", "alerts": [alert]})
        )
        assert json.loads(answer.stdout) == {"verdicts": {"accepted": 1}}
    calm.wait_incident("nothing", since=at)

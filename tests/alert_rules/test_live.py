"""From a check that fails to the webhook, through a real Prometheus and Alertmanager with the shipped rules."""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alert_rules.live_chain import LiveChain, World
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

TIER, TIER_SECONDS = "250ms", 0.25
DEAD = tuple(f"dead{number}" for number in range(4))
HUNG = tuple(f"hung{number}" for number in range(4))
OWN = ("exporter b", "exporter c", "actuator", "Alertmanager", "Prometheus")
LONGEST_GROUP_SECONDS = 30.0  # until each group of rules was evaluated once: before that, it is not known
HUNG_SECONDS = 0.175  # what a check may take has to leave the answer time for its way
RULES = Path(__file__).parents[2] / "alert_rules" / "locum.rules.yml"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveChain]:
    # Every service has other labels, and so is scraped at another moment: many phases in one run.
    world = World((*DEAD, *HUNG), TIER, hosts=(("a", "preferred"),))
    with LiveChain(tmp_path_factory.mktemp("chain"), world) as chain:
        chain.wait_for_targets(len(world.services) + len(OWN))
        yield chain


def _seconds_until_heard(world: World, services: tuple[str, ...], status: str, since: float) -> list[float]:
    def heard() -> list[float]:
        return [seconds for name in services if (seconds := world.heard(name, status, since)) is not None]

    left = since + 6 * TIER_SECONDS + 2 - time.monotonic()
    wait_for(lambda: len(heard()) == len(services), f"{status} has come for {services}", left, state=heard)
    return heard()


def test_the_heartbeat_comes_and_nothing_else(live: LiveChain) -> None:
    wait_for(lambda: live.world.webhooks, "an alert has come", 10)
    assert {alert["labels"]["alertname"] for _, alert in live.world.webhooks} == {"LocumHeartbeat"}
    assert live.world.unauthorized == 0


def test_e4_what_acts_comes_over_the_connection_that_the_heartbeat_keeps_open(live: LiveChain) -> None:
    """A new one would wait behind all that a local user opens."""
    live.world.posts.clear()
    _wait_for_post(live.world, "LocumHeartbeat")
    live.world.failing.add(DEAD[0])
    try:
        _wait_for_post(live.world, "LocumServiceDown")
    finally:
        live.world.failing.clear()
    names = [name for name, _ in live.world.posts]
    first = names.index("LocumServiceDown")
    beats = {port for name, port in live.world.posts[:first] if name == "LocumHeartbeat"}
    assert live.world.posts[first][1] in beats
    _seconds_until_heard(live.world, DEAD[:1], "resolved", time.monotonic() - 1)


def _wait_for_post(world: World, name: str) -> None:
    wait_for(lambda: name in [one for one, _ in list(world.posts)], f"{name} has come", 20)


def test_what_two_exporters_list_alike_is_scraped_once(live: LiveChain) -> None:
    targets = live.query("/api/v1/targets", {"state": "active"})["data"]["activeTargets"]
    probed = sorted(t["labels"]["service"] for t in targets if t["labels"]["job"] == "locum-probe")
    assert probed == sorted(live.world.services)


KINDS = {
    # two samples an interval apart, the first up to one interval after the fault, evaluation every 100 ms
    "refused at once": (DEAD, 0.0, 0.7),
    "silent until the deadline": (HUNG, HUNG_SECONDS, 0.95),
}


@pytest.mark.parametrize(("services", "takes_seconds", "median_seconds"), KINDS.values(), ids=KINDS)
def test_a_fault_is_told_soon_and_never_missed(
    services: tuple[str, ...], takes_seconds: float, median_seconds: float, live: LiveChain
) -> None:
    world = live.world
    time.sleep(random.random())
    world.failure_takes_seconds = takes_seconds
    since = time.monotonic()
    world.failing |= set(services)
    after_seconds = _seconds_until_heard(world, services, "firing", since)
    print(
        f"notified after {statistics.median(after_seconds):.3f} s (median), {max(after_seconds):.3f} s (max)"
    )
    assert min(after_seconds) >= TIER_SECONDS, "notified because of a single failed sample"
    assert statistics.median(after_seconds) <= median_seconds
    assert max(after_seconds) <= 1.5

    healed = time.monotonic()
    world.failing -= set(services)
    assert max(_seconds_until_heard(world, services, "resolved", healed)) <= 1.5


def test_an_exporter_that_answers_too_late_has_no_vote(live: LiveChain) -> None:
    """What comes after the scrape's deadline is no sample, and nothing was seen to fail."""
    world = live.world
    world.failure_takes_seconds = 1.5 * TIER_SECONDS
    since = time.monotonic()
    world.failing |= set(DEAD)
    try:
        time.sleep(8 * TIER_SECONDS)
        assert [name for name in DEAD if world.heard(name, "firing", since) is not None] == []
        targets = live.query("/api/v1/targets", {"state": "active"})["data"]["activeTargets"]
        assert {t["health"] for t in targets if t["labels"].get("service") in DEAD} == {"down"}
    finally:
        world.failing -= set(DEAD)
        world.failure_takes_seconds = 0.0


def test_the_metrics_of_prometheus_and_alertmanager_that_rules_ask_for_exist(live: LiveChain) -> None:
    asked = set(re.findall(r"\b(?:prometheus|alertmanager)_[a-z_]+_total\b", RULES.read_text()))
    assert len(asked) == 4
    there = set(live.query("/api/v1/label/__name__/values")["data"])
    assert asked <= there


def test_no_rule_fails(live: LiveChain) -> None:
    wait_for(
        lambda: "unknown" not in _health_of_rules(live), "every rule was evaluated", LONGEST_GROUP_SECONDS
    )
    assert _health_of_rules(live) == {"ok"}


def _health_of_rules(live: LiveChain) -> set[str]:
    groups = live.query("/api/v1/rules")["data"]["groups"]
    return {rule["health"] for group in groups for rule in group["rules"]}

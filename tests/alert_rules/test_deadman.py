"""A service outside is called while the chain is alive, and notifies people when it no longer is."""

from __future__ import annotations

import stat
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.alert_rules.deadman_switch import DeadmanSwitch
from tests.alert_rules.live_chain import LiveChain, World

pytestmark = pytest.mark.e2e

EVERY_SECONDS, GRACE_SECONDS = 2.0, 3.5  # a second call that does not come is one too many
ALERT_LASTS_SECONDS = 10.0  # until Alertmanager takes an alert for over that Prometheus sends no more


@pytest.fixture
def switch() -> Iterator[DeadmanSwitch]:
    with DeadmanSwitch(GRACE_SECONDS) as started:
        yield started


@pytest.fixture
def live(switch: DeadmanSwitch, tmp_path: Path) -> Iterator[LiveChain]:
    secret = tmp_path / "deadman.url"
    secret.write_text(f"{switch.url}/ping/a-secret\n")
    deadman = {"url_file": str(secret), "every": EVERY_SECONDS}
    with LiveChain(tmp_path, World(("www",), "1s"), site={"deadman": deadman}) as chain:
        switch.wait_for_calls(1, deadline_seconds=20)
        yield chain


def test_it_is_called_all_the_time_and_the_actuator_too(switch: DeadmanSwitch, live: LiveChain) -> None:
    switch.wait_for_calls(5, deadline_seconds=6 * EVERY_SECONDS)
    times = [when for when, _, _ in switch.calls]
    gaps = [later - sooner for sooner, later in pairwise(times)]
    print("seconds between calls:", " ".join(f"{gap:.2f}" for gap in gaps))
    assert abs(statistics.median(gaps) - EVERY_SECONDS) < 0.5
    assert max(gaps) < GRACE_SECONDS, "a busy machine must not look like a dead one"
    assert not switch.people_are_told
    assert {path for _, path, _ in switch.calls} == {"/ping/a-secret"}
    names = {alert["labels"]["alertname"] for _, _, body in switch.calls for alert in body["alerts"]}
    assert names == {"LocumHeartbeat"}
    assert {alert["labels"]["alertname"] for _, alert in live.world.webhooks} == {"LocumHeartbeat"}
    config = live.directory / "alertmanager.yml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600, "the secret is in it"


def test_people_are_told_when_prometheus_is_gone(switch: DeadmanSwitch, live: LiveChain) -> None:
    live.kill("prometheus")
    deadline = ALERT_LASTS_SECONDS + EVERY_SECONDS + GRACE_SECONDS
    print(f"notified after {switch.seconds_until_people_are_told(deadline):.1f} s")


def test_people_are_told_when_the_host_itself_dies(switch: DeadmanSwitch, live: LiveChain) -> None:
    """All that runs there ends at once; no program there can notify people."""
    live.kill("alertmanager", "prometheus")
    print(f"notified after {switch.seconds_until_people_are_told(GRACE_SECONDS + 0.5):.1f} s")

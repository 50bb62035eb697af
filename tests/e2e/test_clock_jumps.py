"""The wall clock jumps by an hour, on b where the actuator runs and on a: nothing that is decided follows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from lab.clock import Clock
from lab.lab import Lab
from lab.locum import HOME
from tests.e2e.often_moved import OftenMoved
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

HOUR = 3600.0
SEEN_SECONDS = 1.5  # a jump is seen within a second
CALM_SECONDS = 3.0


class Jumping(OftenMoved):
    """locum on b under a clock that jumps; its incidents are known by their numbers, for their times jump too."""

    def __init__(self, lab: Lab) -> None:
        self.clock = Clock(lab.hosts[HOME])
        super().__init__(lab, takeover={"cooldown": 600}, environment=self.clock.environment)
        self.clock_of_a = Clock(lab.hosts["a"])
        lab.stop_sshd("a")
        lab.kill_service("a")
        for argv in lab.hosts["a"].boot_services:
            lab.run("a", argv, env=self.clock_of_a.environment)

    def newest(self) -> int:
        """Return the number of the newest incident."""
        return max((row["id"] for row in self.incidents()), default=0)

    def wait_for(self, after: int, kind: str, begins: str = "") -> dict[str, Any]:
        """Wait for an event of an incident newer than `after`; return the incident."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found[:] = [
                row
                for row in self.incidents()
                if row["id"] > after
                and any(e["kind"] == kind and e["text"].startswith(begins) for e in row["events"])
            ]
            return bool(found)

        wait_for(seen, f"{kind} {begins}", 30)
        return found[0]

    def wait_outcome(self, after: int, outcome: str) -> dict[str, Any]:
        """Wait for an incident newer than `after` to end so."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found[:] = [row for row in self.incidents() if row["id"] > after and row["outcome"] == outcome]
            return bool(found)

        wait_for(seen, outcome, 30)
        return found[0]


@pytest.fixture(scope="module")
def jumping() -> Iterator[Jumping]:
    """a holds the service; the tests go on from each other."""
    with Lab() as lab:
        locum = Jumping(lab)
        with locum:
            lab.client.wait_good()
            yield locum


@pytest.mark.parametrize(
    "seconds", [HOUR, -HOUR, 0], ids=["an hour ahead", "two hours back", "and right again"]
)
def test_nothing_is_done_while_all_is_well(jumping: Jumping, seconds: float) -> None:
    lab, number, at = jumping.lab, jumping.newest(), time.time()
    jumping.clock.jump(seconds)
    time.sleep(CALM_SECONDS)
    log = lab.run(HOME, ["tail", "-n1", "/var/lib/locum/log/actuator.log"]).stdout
    assert log, "it runs"
    assert lab.holders() == ["a"]
    assert lab.client.failed_requests(at) == 0
    assert [row for row in jumping.incidents() if row["id"] > number] == []
    assert "monitoring chain: ok" in jumping.command("status").stdout


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["an hour ahead", "two hours back"])
def test_nothing_is_done_while_it_jumps_on_the_holder(jumping: Jumping, seconds: float) -> None:
    """The gate itself asks no wall clock at all: it counts by /proc/uptime."""
    lab, number, at = jumping.lab, jumping.newest(), time.time()
    jumping.clock_of_a.jump(seconds)
    time.sleep(CALM_SECONDS)
    date = lab.run("client", ["curl", "-sSI", "--max-time", "3", f"http://{lab.hosts['a'].address}/"]).stdout
    (shown,) = [line.partition(": ")[2] for line in date.splitlines() if line.startswith("Date: ")]
    assert abs(parsedate_to_datetime(shown).timestamp() - time.time() - seconds) < 60, "Apache sees it"
    assert lab.holders() == ["a"]
    assert lab.client.failed_requests(at) == 0
    assert [row for row in jumping.incidents() if row["id"] > number] == []


def test_a_takeover_while_it_jumps(jumping: Jumping) -> None:
    """The incident is open for seconds, for a's sshd hangs as well; then sshd answers and the service does not."""
    lab, number = jumping.lab, jumping.newest()
    at = lab.hang_service("a")
    lab.freeze_sshd("a")
    jumping.wait_for(number, "decided", "refuse: a answers ping but not its gate")
    for seconds in (HOUR, -HOUR):
        jumping.clock.jump(seconds)
        time.sleep(SEEN_SECONDS)
        assert lab.holders() == ["a"]
    lab.repair("a")
    jumping.wait_outcome(number, "takeover")
    lab.client.wait_good(since=at)
    assert lab.holders() == ["b"]
    assert lab.watcher.held_by_two_seconds(at) == 0


def test_a_cooldown_lasts_as_long_as_it_would_have(jumping: Jumping) -> None:
    lab, number = jumping.lab, jumping.newest()
    jumping.clock.jump(HOUR)
    time.sleep(SEEN_SECONDS)
    at = lab.hang_service("b")
    jumping.wait_for(
        number, "decided", "refuse: the last takeover was less than takeover.cooldown (600 s) ago"
    )
    time.sleep(SEEN_SECONDS)
    assert lab.holders() == ["b"], "held back still, two hours later by the clock"
    lab.wake_service("b")
    lab.client.wait_good(since=at)
    jumping.wait_outcome(number, "nothing")


def test_a_pause_lasts_as_long_as_it_was_meant_to(jumping: Jumping) -> None:
    lab, number = jumping.lab, jumping.newest()
    jumping.command("pause", "www", "--for", "30m", "--reason", "new kernel")
    jumping.clock.jump(2 * HOUR)
    time.sleep(SEEN_SECONDS)
    at = lab.kill_service("b")
    jumping.wait_for(number, "decided", "record: paused until ")
    jumping.command("resume", "www")
    jumping.wait_outcome(number, "respawn")
    lab.client.wait_good(since=at)

"""Planned moves in the lab: there and back under load, what refuses, and the full circle with its data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.lab import Lab
from lab.locum import HOME, Locum
from lab.site_text import TAKEOVER, after, before
from lab.trial import MOVES, planned
from tests.e2e.counting import CountingLocum, Writer
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

MOVED_WITHOUT_SERVICE_SECONDS = 1.5  # on a busy machine; bench/results/outage.json has the figure
REJOIN_SECONDS = 30.0


def status(locum: Locum) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(locum.command("status", "www", "--json").stdout)
    return found


def test_there_and_back(calm: Locum) -> None:
    for move in MOVES.values():
        done = planned(calm.lab, calm, move)
        assert done.faults() == []
        assert done.incident["planned"]["asked_by"] == f"root@{HOME}"
        assert done.incident["planned"]["done"]
        assert done.seconds_without_service is not None
        print(f"{move.name}: {done.seconds_without_service:.2f} s without service")
        assert done.seconds_without_service < MOVED_WITHOUT_SERVICE_SECONDS
    assert status(calm)["rejoin"]["b"]["complete"]


def test_what_refuses_touches_nothing(calm: Locum) -> None:
    lab, at = calm.lab, time.time()
    calm.command("pause", "www", "--reason", "new kernel")
    refused = calm.command("switchover", "www", "--yes", check=False)
    assert refused.returncode == 1
    assert "locum switchover: refused: paused until " in refused.stderr
    dry = calm.command("switchover", "www", "--dry-run", "--despite-pause")
    assert dry.stdout.startswith("switchover of www from a to b:\n  release on a\n")
    calm.command("resume", "www")
    drift = "printf '\\n# by hand\\n' >> /etc/locum/gate.conf"
    lab.run("a", ["sh", "-c", f"cp /etc/locum/gate.conf /root/gate.conf; {drift}"])
    lab.run("b", ["sh", "-c", f"cp /etc/locum/gate.conf /root/gate.conf; {drift}"])
    time.sleep(6)
    refused = calm.command("switchover", "www", "b", "--yes", check=False)
    for host in ("a", "b"):
        lab.run(host, ["sh", "-c", "cat /root/gate.conf > /etc/locum/gate.conf"])
    assert (
        "b cannot take over: its gate's configuration was generated from a different site file"
        in refused.stderr
    )
    assert lab.holders() == ["a"]
    assert lab.client.failed_requests(at) == 0


def test_a_target_that_does_not_start_gives_everything_back(calm: Locum) -> None:
    lab, at = calm.lab, time.time()
    lab.run("b", ["sh", "-c", "echo 'No such directive' > /etc/apache2/conf-enabled/broken.conf"])
    failed = calm.command("switchover", "www", "b", "--yes", check=False)
    lab.run("b", ["rm", "/etc/apache2/conf-enabled/broken.conf"])
    assert failed.returncode == 1
    assert "locum switchover: failed: switchover: www could not be started on b: " in failed.stderr
    assert lab.holders() == ["a"]
    lab.client.wait_good()
    assert lab.client.answered_by(at) == "a"
    assert lab.watcher.held_by_two_seconds(at) == 0


class BackByItself(Locum):
    """locum that brings the service back after ten seconds."""

    def own_site(self, text: str) -> str:
        text = before(super().own_site(text), TAKEOVER, "    failback: {mode: auto, after: 10s}\n")
        return after(text, TAKEOVER, "      cooldown: 1s\n")


def test_back_by_itself_once_and_not_twice() -> None:
    with Lab() as lab, BackByItself(lab) as locum:
        lab.client.wait_good()
        at = lab.crash("a")
        locum.wait_incident("takeover", since=at)
        lab.reboot("a")
        back = time.time()
        incident = locum.wait_incident("failback", since=back, seconds=40)
        assert incident["opened_at"] - back >= 10
        assert incident["reason"] == (
            "failback, asked for by locum itself: failback: auto; b serves and a can"
        )
        lab.client.wait_good()
        assert lab.holders() == ["a"]
        at = lab.crash("a")
        locum.wait_incident("takeover", since=at)
        lab.reboot("a")
        time.sleep(3)
        assert "a person must move it now" in locum.command("status", "www").stdout


@pytest.fixture
def counting() -> Iterator[CountingLocum]:
    with Lab() as lab:
        locum = CountingLocum(lab)
        with locum:
            yield locum


def test_the_full_circle_loses_what_status_said(counting: CountingLocum) -> None:
    """Crash, takeover, writes on b, a returns, failback, switchover and back: a client writes all the while."""
    lab = counting.lab
    lab.client.wait_good()
    with Writer(lab) as writer:
        writer.wait(10)
        counting.command("mirror", "www", "--mark")
        counting.command("mirror", "www")
        writer.wait(30)
        told_at, copy = time.time(), status(counting)["copies"]["b"]
        assert not copy["stale"]
        copied_at = told_at - copy["age_seconds"] - 0.5  # as old as it said, less what the question took

        crashed = lab.crash("a")
        incident = counting.wait_incident("takeover", since=crashed)
        assert "; b has a copy of " in incident["reason"]
        lab.client.wait_good()
        served = time.time()
        writer.wait(30)

        on_b = counting.counted("b")
        before = {one.number for one in writer.acknowledged(until=copied_at)}
        lost = {one.number for one in writer.acknowledged(until=crashed)} - on_b
        assert before, "something was acknowledged before the mirror run"
        assert before <= on_b, "nothing is lost that was acknowledged before the mirror run"
        assert lost, "and what came after it is: else this test shows nothing"

        lab.reboot("a")
        wait_rejoined(counting, "a", but={"newer"})
        refused = counting.command("failback", "www", "--yes", check=False)
        assert refused.returncode == 1
        assert "locum failback: refused: both sides have changed since the mirror run of " in refused.stderr
        assert f"({'/srv/www'}/acknowledged)" in refused.stderr
        assert "--discard-changes-on a" in refused.stderr
        assert lab.holders() == ["b"]

        counting.command("failback", "www", "--yes", "--discard-changes-on", "a")
        lab.client.wait_good()
        assert lab.holders() == ["a"]
        kept = lab.run("a", ["sh", "-c", 'grep -rhsx -e "$0" /srv', str(max(lost))], check=False).stdout
        assert kept.strip(), "what was given up on a is kept aside there"
        writer.wait(20)

        for words, host in ((("switchover", "www", "b"), "b"), (("failback", "www"), "a")):
            counting.command(*words, "--yes")
            lab.client.wait_good()
            assert lab.holders() == [host]
            writer.wait(20)
        wait_rejoined(counting, "b")
        everything = counting.counted("a")
    since = {one.number for one in writer.acknowledged(since=served)}
    assert before <= everything
    assert since - everything <= {one.number for one in writer.acknowledged()[-3:]}, (
        "read before they were counted"
    )
    assert not lost & everything
    assert lab.watcher.held_by_two_seconds(crashed) == 0
    print(
        f"{len(before)} before the mirror run, {len(lost)} lost as reported, {len(since)} since the takeover"
    )


def wait_rejoined(locum: Locum, host: str, but: frozenset[str] | set[str] = frozenset()) -> None:
    """Wait until nothing is open on a host's checklist but what is named."""

    def open_items() -> set[str]:
        return {item["name"] for item in status(locum)["rejoin"][host]["items"] if not item["ok"]}

    wait_for(
        lambda: open_items() == set(but),
        f"what is open on {host}'s checklist is {set(but)}", REJOIN_SECONDS, state=open_items,
    )  # fmt: skip

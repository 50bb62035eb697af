"""The main job on real parts: what each fault must lead to, and what must lead to nothing."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from lab.lab import Lab
from lab.locum import HOME, Locum
from lab.trial import FAULTS, trial
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e


def test_killed_is_respawned_and_not_taken_over(calm: Locum) -> None:
    """The 2001 script took over after every respawn, also when it had helped."""
    done = trial(calm.lab, calm, FAULTS["killed"])
    assert done.faults() == []
    time.sleep(3)
    assert calm.lab.holders() == ["a"]
    outcomes = [row["outcome"] for row in calm.incidents() if row["opened_at"] >= done.at]
    assert "takeover" not in outcomes


def test_an_address_taken_off_by_hand_is_given_back(calm: Locum) -> None:
    at = calm.lab.drop_address("a")
    calm.lab.watcher.wait_holders([], timeout=5)
    calm.lab.watcher.wait_holders(["a"], timeout=15)
    incident = calm.wait_incident("claim", since=at)
    assert incident["reason"] == "no host holds the address and a serves"
    calm.lab.client.wait_good()
    assert calm.lab.client.answered_by(at) == "a"
    assert calm.lab.holders() == ["a"]
    assert calm.lab.watcher.held_by_two_seconds(at) == 0


def test_a_zombie_is_not_a_presence(calm: Locum) -> None:
    lab = calm.lab
    lab.zombie("a", "apache2")
    at = lab.kill_service("a")
    try:
        incident = calm.wait_incident("respawn", since=at)
        assert incident["reason"] == "apache2 is not running on a"
    finally:
        lab.heal("a")


def test_an_alert_for_a_healthy_service_leads_to_nothing(calm: Locum) -> None:
    at = time.time()
    alert = {
        "version": "4",
        "alerts": [
            {"status": "firing", "labels": {"alertname": "LocumServiceDown", "service": "www", "host": "a"}}
        ],
    }
    script = (
        'curl -sS --max-time 5 -H "Authorization: Bearer $(cat /etc/locum/webhook.token)"'
        " --data @- http://127.0.0.1:10752/webhook"
    )
    answer = calm.lab.run(HOME, ["sh", "-c", script], input=json.dumps(alert))
    assert json.loads(answer.stdout) == {"verdicts": {"accepted": 1}}
    incident = calm.wait_incident("nothing", since=at)
    assert incident["reason"].startswith("b got an answer from a: http http://192.0.2.1/: answered 200")
    assert [event["kind"] for event in incident["events"]] == ["decided"]
    assert calm.lab.client.failed_requests(at) == 0


def test_a_standby_that_is_cut_off_claims_nothing(calm: Locum) -> None:
    lab = calm.lab
    at = lab.cut_off("b")
    time.sleep(8)
    assert lab.holders() == ["a"]
    assert lab.client.failed_requests(at) == 0
    lab.heal("b")
    incident = calm.wait_incident("nothing", since=at)
    assert "refuse: no witness answers (192.0.2.254): it may be this host that is cut off" in [
        event["text"] for event in incident["events"]
    ]


def test_an_address_held_twice_is_released_by_the_wrong_host(calm: Locum) -> None:
    at = calm.lab.add_address("b", announce=True)
    incident = calm.wait_incident("release", since=at)
    assert incident["reason"] == "a and b both hold the address; the holder is a"
    assert calm.lab.holders() == ["a"]
    calm.lab.client.wait_good()
    assert calm.lab.client.answered_by(at) == "a"


def test_an_address_held_twice_at_first_start_is_told() -> None:
    """Without a journal it is not known which of the two is wrong."""
    with Lab(holder="a") as lab, Locum(lab) as locum:
        locum.down()
        lab.add_address("b")
        lab.run(HOME, ["sh", "-c", "rm /var/lib/locum/journal.sqlite*"])
        locum.up()
        incident = _that_says(locum, "a and b both hold the address and the journal names neither")
        assert lab.holders() == ["a", "b"], "nothing is done to either"
        lab.drop_address("b")
        locum.wait_incident("nothing", since=incident["opened_at"])


def _that_says(locum: Locum, text: str, seconds: float = 10.0) -> dict[str, Any]:
    """Wait for an incident that says so: the chain is up before its first check is over, and it checks again."""

    def found() -> dict[str, Any] | None:
        rows = locum.incidents()
        return next((row for row in rows if any(text in event["text"] for event in row["events"])), None)

    return wait_for(found, f"an incident says '{text}'", seconds, state=locum.incidents)


def _with_a_finding(locum: Locum, since: float) -> list[int]:
    """Return the incidents at `since` (time.time()) or later; without the checks that found nothing."""
    return [row["id"] for row in locum.incidents_since(since) if row["outcome"] != "nothing"]


@pytest.mark.parametrize("name", ["hung", "crashed"])
def test_taken_over(fresh: Locum, name: str) -> None:
    done = trial(fresh.lab, fresh, FAULTS[name])
    assert done.faults() == []
    assert fresh.lab.holders() == ["b"]
    _b_is_watched_as_the_holder(fresh)


def _b_is_watched_as_the_holder(locum: Locum) -> None:
    """The monitor of 2001 had to exit after a takeover; this one goes on, and takes b for b."""
    time.sleep(2)
    at = locum.lab.kill_service("b")
    incident = locum.wait_incident("respawn", since=at)
    assert incident["reason"] == "apache2 is not running on b"
    locum.lab.client.wait_good()
    assert locum.lab.client.answered_by(at) == "b"
    assert locum.lab.holders() == ["b"]


def test_a_silent_host_is_not_taken_over_where_the_site_file_says_refuse() -> None:
    with Lab() as lab, Locum(lab, when_unreachable="refuse") as locum:
        at = lab.crash("a")
        time.sleep(6)
        assert lab.holders() == []
        status = json.loads(locum.command("status", "www", "--json").stdout)
        assert status["open_incident"]
        incident = _that_says(locum, "takeover.when_unreachable is refuse: make sure that a is off")
        assert _with_a_finding(locum, at) == [incident["id"]]


def test_observe_touches_nothing() -> None:
    with Lab(holder="a") as lab, Locum(lab, mode="observe") as locum:
        at = lab.hang_service("a")
        would = "record: mode is observe; would have: release on a, confirm on b, start on b"
        incident = _that_says(locum, would)
        time.sleep(max(0, at + 5 - time.time()))
        assert lab.holders() == ["a"]
        assert _with_a_finding(locum, at) == [incident["id"]]


def test_a_host_that_comes_back_with_the_address_is_released(fresh: Locum) -> None:
    """a crashes, b takes over, a boots with its service and, as if configured so, with the address."""
    lab = fresh.lab
    done = trial(lab, fresh, FAULTS["crashed"])
    assert done.faults() == []
    lab.reboot("a")
    at = lab.add_address("a", announce=True)
    incident = fresh.wait_incident("release", since=at - 5)
    lab.watcher.wait_holders(["b"], timeout=5)
    assert lab.holders() == ["b"]
    # Whichever is seen first: the service that runs there, or the address.
    assert incident["reason"].startswith(
        ("a and b both hold the address; the holder is b", "a is back and runs")
    )
    milliseconds = lab.watcher.held_by_two_seconds(at) * 1000
    print(f"held by two for {milliseconds:.0f} ms after a came back with the address")
    lab.client.wait_good()
    assert lab.client.answered_by(time.time() - 1) == "b"
    assert "apache2" not in {name for _, name, state in lab.hosts["a"].processes() if state != "Z"}

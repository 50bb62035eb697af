"""The old holder returns: unheard behind a boot guard; elsewhere it is asked to release what it has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.comeback import WAYS, come_back, crash_and_take_over, locum_for
from lab.lab import APACHE, SSHD, Lab
from lab.locum import ALERTMANAGER, Locum
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

SOON_SECONDS = 8.0  # on a busy machine; bench/returning.py says how soon

WITHOUT, WITH_GUARD, _ = WAYS.values()


@pytest.fixture
def guarded() -> Iterator[Locum]:
    """locum on b, and a boot guard on a, which held the service when it died; b holds it."""
    with Lab() as lab, locum_for(lab, WITH_GUARD) as locum:
        crash_and_take_over(lab, locum, WITH_GUARD)
        yield locum


def test_behind_its_boot_guard_a_host_returns_unheard_and_is_released(guarded: Locum) -> None:
    lab = guarded.lab
    back = come_back(lab, WITH_GUARD)
    assert back.faults() == []
    assert back.failed_requests == 0
    incident = guarded.wait_incident("release", since=back.at)
    assert incident["opened_at"] < back.at + SOON_SECONDS
    assert [process for process in lab.host("a").processes() if process[1] == "apache2"] == []
    live = guarded.command("check", "--live", check=False).stdout
    assert "gate of a: answers; holds no service address; boot guard on for www\n" in live
    assert "gate of b: answers; holds 192.0.2.100; no boot guard\n" in live

    assert lab.run("a", ["locum-guard", "status"]).stdout == "www: on\n"


def test_a_holder_that_reboots_is_let_speak_by_locum_as_nobody_else_holds_the_address() -> None:
    with Lab() as lab, Locum(lab, when_unreachable="refuse", boot_guard=True) as locum:
        lab.client.wait_good()
        lab.host("a").boot_addresses = list(lab.service_addresses)
        at = lab.crash("a")
        lab.client.wait_failed(since=at, timeout=5)
        back = lab.reboot("a")
        assert locum.wait_incident("claim", since=at)["opened_at"] >= at
        lab.client.wait_good(since=back, timeout=20)
        assert lab.client.answered_by(back) == "a"
        assert lab.holders() == ["a"]
        assert lab.run("a", ["locum-guard", "status"]).stdout == "www: off\n"


def test_a_host_that_returns_with_the_address_and_no_gate_is_told_of_until_a_person_acts() -> None:
    """Nothing can be sent to it; people hear of it by LocumAddressHeldTwice."""
    with Lab() as lab, locum_for(lab, WITHOUT) as locum:
        crash_and_take_over(lab, locum, WITHOUT)
        lab.host("a").boot_services = [list(APACHE)]
        at = lab.reboot("a")
        assert _wait_alert(locum, "LocumAddressHeldTwice")["labels"]["service"] == "www"
        refused = _wait_refusal(locum, at)
        assert refused == "refuse: a and b both hold the address; a should not, and does not answer its gate"
        lab.run("a", list(SSHD))  # what a person does
        locum.wait_incident("release", since=at)
        lab.watcher.wait_holders(["b"])
        assert lab.holders() == ["b"]


def _wait_alert(locum: Locum, name: str, seconds: float = 60.0) -> dict[str, dict[str, str]]:
    def found() -> dict[str, dict[str, str]] | None:
        alerts = locum.get(f"{ALERTMANAGER}/api/v2/alerts")
        return next((alert for alert in alerts if alert["labels"]["alertname"] == name), None)

    return wait_for(found, f"the alert {name} has come", seconds)


def _wait_refusal(locum: Locum, since: float, seconds: float = 60.0) -> str:
    def found() -> str | None:
        for row in locum.incidents():
            for event in row["events"]:
                if event["at"] >= since and event["kind"] == "decided" and "both hold" in event["text"]:
                    return str(event["text"])
        return None

    return wait_for(found, "a decision says that both hold the address", seconds, state=locum.incidents)

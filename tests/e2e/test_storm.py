"""Three hosts that hold a service each, and b that is the standby of the other two.

When a switch takes two of them away at once, it is the network, and no host is taken over. One that dies alone is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from lab.lab import Lab
from lab.locum import HOME, Locum
from lab.site_text import after
from tests.support.polling import wait_for

pytestmark = pytest.mark.e2e

SERVICES = "http://127.0.0.1:10752/api/v1/services"
STORM = "refuse: a and c began to fail within the same half minute, which points to the network"
ANNOUNCED = "serves on its own address and is not reached through the service address"
WATCHED_SECONDS = 6.0  # without the brake b has taken over after one and a half
PORT_BY_PORT_SECONDS = 3.0  # between the two, when the network comes back

HOST_C = "  c: {address: 192.0.2.3, ssh: {user: locum}}\n"
SERVICE = """\
  {name}:
    hosts: [{hosts}]
    addresses: [{address}/24]
    interface: eth0
    checks: {{tcp: {{port: 22, expect: "SSH-"}}}}
    standby: running
    takeover: {{when_unreachable: takeover}}
"""


class ThreeHolders(Locum):
    """locum with www on a, mail on c and dns on b itself."""

    def own_site(self, text: str) -> str:
        mail = SERVICE.format(name="mail", hosts="c, b", address="192.0.2.101")
        dns = SERVICE.format(name="dns", hosts="b, a", address="192.0.2.102")
        text = after(super().own_site(text), "hosts:\n", HOST_C)
        return after(text, "services:\n", mail + dns)

    def install(self) -> None:
        """Enrol c as well."""
        super().install()
        admin = f"root@{self.lab.hosts['c'].address}"
        self.command("enrol", "c", "--yes", "--admin", admin, "--identity", str(self.lab.admin_key))

    def holders(self) -> dict[str, str]:
        """Return who holds each service, as the actuator says."""
        return {row["service"]: row["holder"] for row in self.get(SERVICES)["services"]}

    def metrics(self) -> str:
        """Return the actuator's metrics."""
        return self.lab.run(
            HOME, ["curl", "-sSf", "--max-time", "5", "http://127.0.0.1:10752/metrics"]
        ).stdout

    def in_a_storm(self, since: float) -> set[str]:
        """Return the services for which a storm was reported since then."""
        return {name for name, text in self.decision_texts(since) if text.startswith(STORM)}

    def decision_texts(self, since: float) -> set[tuple[str, str]]:
        """Return each service with the words of every decision since then."""
        return {
            (row["service"], event["text"])
            for row in self.incidents()
            for event in row["events"]
            if event["at"] >= since and event["kind"] == "decided"
        }


@pytest.fixture(scope="module")
def three() -> Iterator[ThreeHolders]:
    with Lab(("a", "b", "c")) as lab, (locum := ThreeHolders(lab)):
        held = {"www": "a", "mail": "c", "dns": "b"}
        wait_for(lambda: locum.holders() == held, "three holders", 15)
        wait_for(lambda: all(row["outcome"] for row in locum.incidents()), "calm", 15)
        lab.client.wait_good()
        yield locum


def test_a_switch_that_takes_two_holders_away_is_a_storm_and_people_are_told(three: ThreeHolders) -> None:
    at = three.lab.cut_off("a")
    three.lab.cut_off("c")
    try:
        wait_for(lambda: three.in_a_storm(at) == {"www", "mail"}, "both are reported", 10)
        time.sleep(WATCHED_SECONDS)
        assert three.holders() == {"www": "a", "mail": "c", "dns": "b"}
        assert not [text for _, text in three.decision_texts(at) if text.startswith("takeover")]
        assert set(re.findall(r'refusals_total\{reason="storm",service="(\w+)"\}', three.metrics())) == {
            "www",
            "mail",
        }
    finally:
        three.lab.heal("a")
        time.sleep(PORT_BY_PORT_SECONDS)
        three.lab.heal("c")
    three.lab.client.wait_good(timeout=15)
    wait_for(lambda: all(row["outcome"] for row in three.incidents()), "all well again", 15)
    incidents = three.incidents_since(at)
    # A check through the service address may have begun before its wire was back: its holder announces it again.
    assert {row["outcome"] for row in incidents} <= {"nothing", "claim"}, incidents
    assert all(ANNOUNCED in row["reason"] for row in incidents if row["outcome"] == "claim"), incidents
    assert three.holders() == {"www": "a", "mail": "c", "dns": "b"}
    assert three.lab.watcher.held_by_two_seconds(at) == 0


def test_a_holder_that_dies_alone_is_taken_over(three: ThreeHolders) -> None:
    at = three.lab.crash("a")
    three.wait_incident("takeover", since=at)
    three.lab.client.wait_good(since=at, timeout=10)
    assert three.lab.client.answered_by(at) == "b"
    assert three.holders() == {"www": "b", "mail": "c", "dns": "b"}
    assert three.lab.watcher.held_by_two_seconds(at) == 0

"""B11: an interface that is not Ethernet has no MAC address, and that ends no thread and no step."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest

from locum_actuator.system import announce
from locum_actuator.system.interface_mac import mac_of
from tests.support import namespaces
from tests.support.marks import needs_root


@pytest.fixture
def tunnel() -> Iterator[str]:
    """A namespace with the interface tun0."""
    with namespaces.namespace("tun") as name:
        namespaces.ip("-n", name, "tuntap", "add", "mode", "tun", "name", "tun0")
        namespaces.ip("-n", name, "link", "set", "tun0", "up")
        yield name


USE = """
import logging
from contextlib import closing
from ipaddress import ip_address
from tests.actuator.fakes import site
from locum_actuator.system.announce import announce
from locum_actuator.system.interface_mac import mac_of
from locum_actuator.observation.reconnect_probe import ReconnectProbe

logging.basicConfig(level=logging.INFO, format="%(message)s")
announce("tun0", [ip_address("192.0.2.100"), ip_address("2001:db8::1")])
with closing(ReconnectProbe(site(), "tun0")) as lookout:
    print(mac_of("tun0"), sorted(lookout.glimpse({"a"})))
"""


@needs_root
def test_b11_a_tunnel_has_no_mac_address_and_is_asked_nothing(tunnel: str) -> None:
    """In a process of its own, for which `ip netns exec` mounts the /sys of its namespace."""
    used = subprocess.run(
        ["ip", "netns", "exec", tunnel, sys.executable, "-c", USE],
        capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert used.stdout == "None []\n", used.stderr
    assert used.stderr == "tun0 is not Ethernet: nothing to announce on it\n"


def test_b11_loopback_is_no_ethernet_and_a_card_that_is_not_there_is_a_fault() -> None:
    assert mac_of("lo") is None
    with pytest.raises(OSError, match="No such file"):
        mac_of("nosuch0")


def test_b11_an_ethernet_card_has_its_mac_address() -> None:
    cards = [path.parent.name for path in Path("/sys/class/net").glob("*/type") if path.read_text() == "1\n"]
    for card in cards:
        assert len((mac_of(card) or "").split(":")) == 6


def test_b12_an_announcement_is_sent_once_where_no_thread_is_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What follows the first is sent by a thread; for want of one a claim is not undone."""
    sent: list[object] = []

    class Wire:
        def bind(self, where: object) -> None:
            pass

        def send(self, frame: object) -> None:
            sent.append(frame)

        def close(self) -> None:
            sent.append("closed")

    def no_more(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(announce, "mac_of", lambda interface: "02:00:00:00:00:01")
    wire = SimpleNamespace(socket=lambda *kind: Wire(), AF_PACKET=0, SOCK_RAW=0)
    monkeypatch.setattr(announce, "socket", wire)
    monkeypatch.setattr(announce, "threading", SimpleNamespace(Thread=no_more))
    announce.announce("eth0", [ip_address("192.0.2.100")])
    assert len(sent) == 3
    assert sent[-1] == "closed"

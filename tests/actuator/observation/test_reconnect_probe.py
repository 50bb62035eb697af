"""Glimpses at hosts that are missing: real connections on loopback, and real questions on a wire."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from locum_actuator.observation import reconnect_probe as module
from locum_actuator.observation.reconnect_probe import ReconnectProbe
from locum_inventory.site.load import load_site
from locum_inventory.site.model import Site
from tests.support import namespaces
from tests.support.marks import needs_root
from tests.support.ports import closed_port
from tests.support.site_files import write_site

pytestmark = pytest.mark.timed  # its deadlines are some tenths of a second

_ETH_P_ALL = 0x0003
WATCHED_SECONDS = 1.2


@pytest.fixture
def port() -> Iterator[int]:
    """A port of loopback on which no program listens."""
    with closed_port() as port:
        yield port


def site_of(directory: Path, address: str, port: int = 22) -> Site:
    ssh = {"port": port, "key_file": "/nowhere/key", "known_hosts": "/nowhere/known_hosts"}
    return load_site(
        write_site(
            directory,
            hosts={"a": {"address": address, "ssh": ssh}},
            www={"addresses": ["192.0.2.100/32"], "interface": "eth0", "standby": "running", "checks": {}},
        )
    )


def sees(reconnect_probe: ReconnectProbe, missing: set[str], seconds: float) -> set[str]:
    """Glimpse for so long, or until a host is seen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if seen := reconnect_probe.glimpse(missing):
            return set(seen)
        time.sleep(module.LISTEN_SECONDS)
    return set()


def test_a_host_is_seen_when_it_takes_connections_and_then_is_no_news(tmp_path: Path, port: int) -> None:
    with closing(ReconnectProbe(site_of(tmp_path, "127.0.0.1", port), None)) as reconnect_probe:
        assert sees(reconnect_probe, {"a"}, 0.5) == set()
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(("127.0.0.1", 0))
            moved = site_of(tmp_path, "127.0.0.1", server.getsockname()[1])
            server.listen()
            reconnect_probe.site = moved
            assert sees(reconnect_probe, {"a"}, 5.0) == {"a"}
            assert sees(reconnect_probe, {"a"}, 0.5) == set()


def test_a_host_that_stays_silent_behind_its_sshd_is_seen_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEEN_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        site = site_of(tmp_path, "127.0.0.1", server.getsockname()[1])
        with closing(ReconnectProbe(site, None)) as reconnect_probe:
            begun = time.monotonic()
            assert [sees(reconnect_probe, {"a"}, 5.0) for _ in range(2)] == [{"a"}, {"a"}]
            assert time.monotonic() - begun >= 0.3


def test_who_is_not_missing_or_has_no_ssh_is_not_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        site = site_of(tmp_path, "127.0.0.1", server.getsockname()[1])
        with closing(ReconnectProbe(site, None)) as reconnect_probe:
            assert sees(reconnect_probe, set(), 0.3) == set()
            assert sees(reconnect_probe, {"b"}, 0.3) == set()


def test_an_interface_that_is_not_there_hides_nothing_else(tmp_path: Path) -> None:
    with closing(ReconnectProbe(site_of(tmp_path, "192.0.2.1"), "nowhere0")) as reconnect_probe:
        assert sees(reconnect_probe, {"a"}, 0.3) == set()


@needs_root
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_the_wire_is_asked_at_each_glimpse(tmp_path: Path, address: str) -> None:
    """The kernel on its own would ask once a second."""
    heard: list[float] = []

    async def listen() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as hearing:
            hearing.bind(("eth0", _ETH_P_ALL))
            hearing.setblocking(False)
            end = time.monotonic() + WATCHED_SECONDS
            while time.monotonic() < end:
                await asyncio.sleep(0.02)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        if _is_question(hearing.recv(2048), address):
                            heard.append(time.monotonic())

    async def look() -> None:
        with closing(ReconnectProbe(site_of(tmp_path, address), "eth0")) as reconnect_probe:
            sees(reconnect_probe, {"a"}, WATCHED_SECONDS)

    async def both() -> None:
        await asyncio.gather(
            asyncio.to_thread(namespaces.run_in, names["there"], listen),
            asyncio.to_thread(namespaces.run_in, names["here"], look),
        )

    with namespaces.network("here", "there") as names:
        namespaces.add_address(names["here"], "192.0.2.2/24")
        namespaces.add_address(names["here"], "2001:db8::2/64")
        asyncio.run(both())
    assert len(heard) >= 4


def _is_question(frame: bytes, address: str) -> bool:
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    if "." in address:
        return ethertype == 0x0806 and frame[38:42] == socket.inet_aton(address)
    return (
        ethertype == 0x86DD
        and frame[54] == 135
        and frame[62:78] == socket.inet_pton(socket.AF_INET6, address)
    )

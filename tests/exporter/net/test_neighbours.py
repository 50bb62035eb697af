"""Who has an address, asked on real wires between namespaces."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from locum_exporter.net.arp_nd_frames import gratuitous_arp, unsolicited_na
from locum_exporter.net.local_addresses import local_addresses, local_host
from locum_exporter.net.neighbours import NeighbourError, Neighbours
from locum_inventory.site.model import Address
from tests.support.marks import needs_root
from tests.support.namespaces import add_address, ip, mac_of, namespace, network, run_in
from tests.support.polling import wait_for

pytestmark = [pytest.mark.timed, needs_root, pytest.mark.integration]


@dataclass(frozen=True)
class Wire:
    """`me` asks; `a` and `b` both hold 10.9.0.100 and fd09::100, `a` alone 10.9.0.101."""

    me: str
    a: str
    macs: dict[str, str]


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with network("me", "a", "b") as names:
        for number, name in enumerate(names.values(), start=1):
            add_address(name, f"10.9.0.{number}/24")
            add_address(name, f"fd09::{number}/64")
        for label in ("a", "b"):
            add_address(names[label], "10.9.0.100/32")
            add_address(names[label], "fd09::100/128")
        add_address(names["a"], "10.9.0.101/32")
        yield Wire(names["me"], names["a"], {label: mac_of(name) for label, name in names.items()})


ANSWERS: dict[str, tuple[str, set[str]]] = {
    "the host's own IPv4 address": ("10.9.0.2", {"a"}),
    "the host's own IPv6 address": ("fd09::3", {"b"}),
    "an address of one": ("10.9.0.101", {"a"}),
    "an address of two": ("10.9.0.100", {"a", "b"}),
    "an IPv6 address of two": ("fd09::100", {"a", "b"}),
    "an address of no host": ("10.9.0.200", set()),
    "an IPv6 address of no host": ("fd09::200", set()),
    "an address of the host that asks": ("10.9.0.1", set()),
}


def test_who_has(wire: Wire) -> None:
    async def work() -> dict[Address, set[str]]:
        async with Neighbours() as neighbours:
            return await neighbours.who_has("eth0", [ip_address(text) for text, _ in ANSWERS.values()])

    answers = run_in(wire.me, work)
    expected = {row: {wire.macs[label] for label in labels} for row, (_, labels) in ANSWERS.items()}
    assert {row: answers[ip_address(text)] for row, (text, _) in ANSWERS.items()} == expected


def test_ipv6_is_asked_from_what_would_be_the_cards_address_where_it_has_none(wire: Wire) -> None:
    async def work() -> dict[Address, set[str]]:
        this_host = await local_host()
        without = type(this_host)((), this_host.macs)
        async with Neighbours() as neighbours:
            return await neighbours.who_has("eth0", [IPv6Address("fd09::100")], this_host=without)

    assert run_in(wire.me, work) == {IPv6Address("fd09::100"): {wire.macs["a"], wire.macs["b"]}}


@pytest.mark.parametrize("has_link_local", [True, False])
def test_who_is_about_to_have_an_address_does_not_give_it_up_for_our_question(
    wire: Wire, has_link_local: bool
) -> None:
    claimed, a = IPv6Address("fd09::55"), wire.a
    probes = Path("/proc/sys/net/ipv6/conf/eth0/dad_transmits")
    in_a = ["ip", "netns", "exec", a, "sh", "-c"]
    subprocess.run([*in_a, f"echo 100 >{probes}"], check=True)
    subprocess.run(["ip", "-n", a, "addr", "add", f"{claimed}/64", "dev", "eth0"], check=True)

    async def work() -> dict[Address, set[str]]:
        this_host = await local_host()
        asking = this_host if has_link_local else type(this_host)((), this_host.macs)
        async with Neighbours() as neighbours:
            return await neighbours.who_has("eth0", [claimed], this_host=asking)

    try:
        assert run_in(wire.me, work) == {claimed: set()}
        shown = subprocess.run(
            ["ip", "-n", a, "addr", "show", "dev", "eth0"], check=True, capture_output=True, text=True
        )
        line = next(line for line in shown.stdout.splitlines() if f"{claimed}/64" in line)
        assert "tentative" in line
        assert "dadfailed" not in line
    finally:
        subprocess.run([*in_a, f"echo 1 >{probes}; ip addr del {claimed}/64 dev eth0"], check=True)


TIMES: dict[str, tuple[list[str], bool, float | None, float, float]] = {
    "all attempts are made": (["10.9.0.2"], False, None, 0.14, 0.3),
    "answered is enough": (["10.9.0.2", "10.9.0.3", "fd09::2"], True, None, 0.0, 0.1),
    "one does not answer": (["10.9.0.2", "10.9.0.200"], True, None, 0.14, 0.3),
    "a deadline that is not needed": (["10.9.0.2"], True, 0.06, 0.0, 0.06),
}


@pytest.mark.parametrize("row", TIMES)
def test_how_long_it_takes(wire: Wire, row: str) -> None:
    texts, until_answered, deadline_seconds, at_least, at_most = TIMES[row]

    async def work() -> float:
        async with Neighbours() as neighbours:
            await neighbours.who_has("eth0", [ip_address("10.9.0.2"), ip_address("fd09::2")], attempts=1)
            started_at = time.perf_counter()
            await neighbours.who_has(
                "eth0",
                [ip_address(text) for text in texts],
                until_answered=until_answered,
                deadline_seconds=deadline_seconds,
            )
            return time.perf_counter() - started_at

    assert at_least <= run_in(wire.me, work) < at_most


CUT_SHORT = {
    "no host would have answered": "10.9.0.200",
    "a host has answered, but a second one might": "10.9.0.100",
}


@pytest.mark.parametrize("row", CUT_SHORT)
def test_a_look_cut_short_is_no_look(wire: Wire, row: str) -> None:
    async def work() -> str:
        try:
            async with Neighbours() as neighbours:
                await neighbours.who_has("eth0", [ip_address(CUT_SHORT[row])], deadline_seconds=0.08)
        except NeighbourError as fault:
            return f"{fault.reason}: {fault}"
        return "looked"

    assert run_in(wire.me, work) == "busy: could not send 3 requests on interface eth0 within 0.08 s"


def test_a_busy_moment_does_not_shorten_listening(wire: Wire) -> None:
    """A loop that was held up for longer than all attempts would take must still hear the answers."""

    async def work() -> dict[Address, set[str]]:
        async with Neighbours() as neighbours:
            asking = asyncio.create_task(
                neighbours.who_has("eth0", [ip_address("10.9.0.101"), ip_address("fd09::2")])
            )
            for _ in range(8):
                time.sleep(0.06)  # noqa: ASYNC251 - holds up the loop
                await asyncio.sleep(0)
            return await asking

    assert run_in(wire.me, work) == {
        ip_address("10.9.0.101"): {wire.macs["a"]},
        ip_address("fd09::2"): {wire.macs["a"]},
    }


def test_what_came_before_the_question_is_no_answer(wire: Wire) -> None:
    """An address that has moved meanwhile must not count for the host that had it before."""
    moved = IPv4Address("10.9.0.150")

    async def work() -> dict[Address, set[str]]:
        async with Neighbours() as neighbours:
            await neighbours.who_has(
                "eth0", [moved], attempts=1
            )  # opens the socket, which then goes on hearing
            await asyncio.to_thread(
                announce, wire.me.replace("me", "a"), gratuitous_arp(wire.macs["a"], moved)
            )
            await asyncio.sleep(0.02)
            return await neighbours.who_has("eth0", [moved], attempts=1)

    assert run_in(wire.me, work) == {moved: set()}


ANNOUNCEMENTS: dict[str, tuple[str, bytes]] = {
    "gratuitous ARP": ("10.9.0.160", gratuitous_arp("02:00:5e:10:00:01", IPv4Address("10.9.0.160"))),
    "gratuitous ARP as a reply": (
        "10.9.0.161",
        gratuitous_arp("02:00:5e:10:00:01", IPv4Address("10.9.0.161"), reply=True),
    ),
    "unsolicited advertisement": ("fd09::160", unsolicited_na("02:00:5e:10:00:01", IPv6Address("fd09::160"))),
}


@pytest.mark.parametrize("row", ANNOUNCEMENTS)
def test_an_announcement_meanwhile_is_heard(wire: Wire, row: str) -> None:
    text, frame = ANNOUNCEMENTS[row]
    address = ip_address(text)

    async def work() -> dict[Address, set[str]]:
        async with Neighbours() as neighbours:
            asking = asyncio.create_task(neighbours.who_has("eth0", [address]))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(announce, wire.me.replace("me", "a"), frame)
            return await asking

    assert run_in(wire.me, work) == {address: {"02:00:5e:10:00:01"}}


@pytest.mark.parametrize("row", ANNOUNCEMENTS)
def test_an_announcement_mends_a_stale_neighbour_entry(wire: Wire, row: str) -> None:
    """The kernel is the judge of what the announcer sends: it drops frames with a wrong checksum."""
    text, frame = ANNOUNCEMENTS[row]
    stale = ["neigh", "replace", text, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale"]
    ip("-n", wire.me, *stale)
    announce(wire.me.replace("me", "a"), frame)
    wait_for(
        lambda: "02:00:5e:10:00:01" in neighbour_entry(wire.me, text),
        "the neighbour entry has the new address", 2, state=lambda: neighbour_entry(wire.me, text),
    )  # fmt: skip


def neighbour_entry(name: str, text: str) -> str:
    show = ["ip", "-n", name, "neigh", "show", text, "dev", "eth0"]
    return subprocess.run(show, check=True, capture_output=True, text=True, timeout=10).stdout


def announce(name: str, frame: bytes) -> None:
    """Send a frame from another namespace of the wire."""

    async def work() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packet:
            packet.bind(("eth0", 0))
            packet.send(frame)

    run_in(name, work)


def test_many_questions_at_once_on_one_interface(wire: Wire) -> None:
    async def work() -> list[dict[Address, set[str]]]:
        async with Neighbours() as neighbours:
            asked = [ip_address("10.9.0.100"), ip_address("fd09::100")]
            return await asyncio.gather(*(neighbours.who_has("eth0", asked) for _ in range(10)))

    both = {wire.macs["a"], wire.macs["b"]}
    assert run_in(wire.me, work) == [{IPv4Address("10.9.0.100"): both, IPv6Address("fd09::100"): both}] * 10


def test_sockets_are_kept_and_used_again(wire: Wire) -> None:
    async def work() -> int:
        async with Neighbours() as neighbours:
            for _ in range(5):
                await neighbours.who_has("eth0", [ip_address("10.9.0.2")], attempts=1, spacing_seconds=0.01)
            return sum(len(idle) for idle in neighbours._idle.values())

    assert run_in(wire.me, work) == 1


FAULTS: dict[str, tuple[str, str]] = {
    "nosuch0": ("interface", "cannot send on interface nosuch0: no such device"),
    "lo": ("interface", "cannot send on interface lo: lo is not an Ethernet interface"),
    "down0": ("interface", "cannot send on interface down0: network is down"),
}


@pytest.mark.parametrize("interface", FAULTS)
def test_could_not_look(interface: str) -> None:
    async def work() -> tuple[str, str]:
        try:
            async with Neighbours() as neighbours:
                await neighbours.who_has(interface, [ip_address("10.9.0.2")])
        except NeighbourError as fault:
            return fault.reason, str(fault)
        return "", "looked"

    with namespace("faults") as name:
        ip("-n", name, "link", "add", "down0", "type", "veth", "peer", "name", "down1")
        assert run_in(name, work) == FAULTS[interface]


def test_an_interface_that_went_away_and_came_back(wire: Wire) -> None:
    async def work() -> list[str]:
        said = []
        async with Neighbours() as neighbours:
            for state in ("up", "down", "up"):
                await asyncio.to_thread(ip, "-n", wire.me, "link", "set", "eth0", state)
                await asyncio.sleep(0.1)
                try:
                    answers = await neighbours.who_has("eth0", [ip_address("10.9.0.2")], until_answered=True)
                    said.append(",".join(answers[ip_address("10.9.0.2")]))
                except NeighbourError as fault:
                    said.append(fault.reason)
        return said

    try:
        assert run_in(wire.me, work) == [wire.macs["a"], "interface", wire.macs["a"]]
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            add_address(wire.me, "fd09::1/64")  # the kernel drops IPv6 addresses with the link


def test_without_the_capability() -> None:
    ask = (
        "import asyncio; from ipaddress import ip_address; from locum_exporter.net.neighbours import *\n"
        "try: asyncio.run(Neighbours().who_has('lo', [ip_address('10.9.0.2')]))\n"
        "except NeighbourError as fault: print(fault.reason, fault)"
    )
    drop = ["setpriv", "--bounding-set", "-net_raw", sys.executable, "-c", ask]
    done = subprocess.run(drop, check=True, capture_output=True, text=True, timeout=20, cwd=Path.cwd())
    assert done.stdout == "permission cannot send on interface lo: operation not permitted\n"


def test_what_this_host_holds() -> None:
    with namespace("local") as name:
        ip("-n", name, "link", "add", "card0", "type", "veth", "peer", "name", "card1")
        for card in ("card0", "card1"):
            ip("-n", name, "link", "set", card, "up")
        for address in ("10.9.8.1/24", "10.9.8.100/32", "10.9.8.129/25", "fd08::1/64", "fe80::1/64"):
            add_address(name, address, "card0")
        here = run_in(name, local_host)
        addresses = run_in(name, local_addresses)
        macs = {mac_of(name, "card0"), mac_of(name, "card1")}
    texts = {str(address) for address in addresses if not (address.version == 6 and address.is_link_local)}
    assert texts == {"127.0.0.1", "::1", "10.9.8.1", "10.9.8.100", "10.9.8.129", "fd08::1"}
    assert here.macs == macs
    assert here.holds(ip_address("10.9.8.100"))
    assert not here.holds(ip_address("10.9.8.10"))
    towards = {
        text: here.interface_towards(ip_address(text))
        for text in ("10.9.8.7", "10.9.9.7", "fd08::7", "fd07::7")
    }
    assert towards == {"10.9.8.7": "card0", "10.9.9.7": None, "fd08::7": "card0", "fd07::7": None}
    assert here.link_local("card0") == ip_address("fe80::1")
    assert here.link_local("lo") is None

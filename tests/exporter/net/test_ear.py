"""A host that cannot hear an answer has not found that no host has an address."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address

import pytest

from locum_exporter.checks.address import address
from locum_exporter.net.local_addresses import neighbours_towards
from locum_exporter.net.neighbours import NeighbourError, Neighbours
from locum_exporter.result import CheckResult, Outcome
from locum_inventory.site.model import Address, Site
from tests.exporter.checks.test_address import HOSTS, SERVICE4
from tests.exporter.sites import service, site
from tests.support.marks import needs_root
from tests.support.namespaces import add_address, ip, mac_of, namespace, network, run_in

pytestmark = [needs_root, pytest.mark.integration]

A, WITNESS, NEW_MAC = ip_address("10.9.0.1"), ip_address("10.9.0.3"), "02:00:5e:10:00:99"
BY_A_ROUTE = "198.51.100.7"


@pytest.fixture
def names() -> Iterator[dict[str, str]]:
    """a, b that looks, and a witness x, on one wire."""
    with network("a", "b", "x") as made:
        for number, name in enumerate(made.values(), start=1):
            add_address(name, f"10.9.0.{number}/24")
            add_address(name, f"fd09::{number}/64")
        yield made


def in_turns(
    name: str, between: Callable[[], None], question: Callable[[Neighbours], Awaitable[str]]
) -> list[str]:
    """Ask, change something, and ask again with the same sockets."""

    async def work() -> list[str]:
        async with Neighbours() as neighbours:
            first = await question(neighbours)
            await asyncio.to_thread(between)
            return [first, await question(neighbours)]

    return run_in(name, work)


async def who_has_a(neighbours: Neighbours) -> str:
    try:
        answers = await neighbours.who_has("eth0", [A, ip_address("fd09::1")], spacing_seconds=0.2)
    except NeighbourError as fault:
        return f"{fault.reason}: {fault}"
    return ", ".join(sorted({mac for macs in answers.values() for mac in macs}) or ["no host"])


def strict_switch(name: str, mac: str) -> None:
    """Let the switch send to b's port what is for this MAC address, and broadcasts, and nothing else."""
    wire, port = f"lt{os.getpid()}wire", f"p{name}"
    ip("-n", wire, "link", "set", port, "type", "bridge_slave", "learning", "off", "flood", "off")
    ip("-n", wire, "link", "set", "br0", "type", "bridge", "fdb_flush")
    ip("netns", "exec", wire, "bridge", "fdb", "replace", mac, "dev", port, "master", "static")


def test_a6_a_card_that_gets_another_mac_address_hears_as_before(names: dict[str, str]) -> None:
    """A bond that fails over takes the address of its other card, and the switch sends nothing to the old one."""

    def fail_over() -> None:
        ip("-n", names["b"], "link", "set", "eth0", "address", NEW_MAC)
        strict_switch("b", NEW_MAC)

    assert in_turns(names["b"], fail_over, who_has_a) == [mac_of(names["a"])] * 2


def test_a6_an_interface_that_is_made_again_is_asked_on_at_once(names: dict[str, str]) -> None:
    def again() -> None:
        wire = f"lt{os.getpid()}wire"
        ip("-n", names["b"], "link", "del", "eth0")
        ip("-n", wire, "link", "add", "pb", "type", "veth", "peer", "name", "eth0", "netns", names["b"])
        ip("-n", wire, "link", "set", "pb", "master", "br0", "up")
        ip("-n", names["b"], "link", "set", "eth0", "up")
        add_address(names["b"], "10.9.0.2/24")

    # A bridge takes a moment before it forwards to a new port, which is not what is asked here.
    async def until_heard(neighbours: Neighbours) -> str:
        for _ in range(50):
            if (said := await who_has_a(neighbours)) != "no host":
                return said
        return "no host"

    assert in_turns(names["b"], again, until_heard) == [mac_of(names["a"])] * 2


def test_a6_an_interface_of_another_name_is_no_longer_this_one(names: dict[str, str]) -> None:
    def rename() -> None:
        ip("-n", names["b"], "link", "set", "eth0", "down")
        ip("-n", names["b"], "link", "set", "eth0", "name", "lan0")
        ip("-n", names["b"], "link", "set", "lan0", "up")

    gone = "interface: cannot send on interface eth0: no such device"
    assert in_turns(names["b"], rename, who_has_a) == [mac_of(names["a"]), gone]


def with_witness(witness: str) -> Site:
    return site(hosts=HOSTS, services={"www": service(addresses=[SERVICE4])}, witnesses=[witness])


def look(name: str, values: Site) -> CheckResult:
    async def work() -> CheckResult:
        async with Neighbours() as neighbours:
            return await address(neighbours, values, "www", 5.0, this_name="b")

    return run_in(name, work)


def silence(name: str) -> None:
    """Let a host answer no ARP, as one that is off, or behind a line that carries nothing."""
    ip("-n", name, "link", "set", "eth0", "arp", "off")


def test_a6_one_witness_of_either_ip_version_will_do(names: dict[str, str]) -> None:
    """The other may be down: they are heard by the same card."""
    silence(names["a"])
    values = site(
        hosts=HOSTS, services={"www": service(addresses=[SERVICE4])}, witnesses=["fd09::99", str(WITNESS)]
    )
    assert look(names["b"], values).reason == "absent"


def test_a6_a_witness_behind_loss_is_asked_again(names: dict[str, str]) -> None:
    """It answers from the fifth question on."""
    silence(names["a"])
    silence(names["x"])

    async def work() -> str:
        async def back() -> None:
            await asyncio.sleep(0.35)
            await asyncio.to_thread(ip, "-n", names["x"], "link", "set", "eth0", "arp", "on")

        later = asyncio.create_task(back())
        async with Neighbours() as neighbours:
            answers = await neighbours.who_has("eth0", [A], spacing_seconds=0.1, must_answer=[WITNESS])
        await later
        return str(answers)

    assert run_in(names["b"], work) == str({A: set()})


EARS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "a is off, the witness answers": (str(WITNESS), ("a",), True),
    "the witness is off, a answers": (str(WITNESS), ("x",), True),
    "nothing answers, not even the witness": (str(WITNESS), ("a", "x"), False),
    "a is off, the gateway to the witness answers": (BY_A_ROUTE, ("a",), True),
    "nothing answers, not even the gateway": (BY_A_ROUTE, ("a", "x"), False),
}


@pytest.mark.parametrize("row", EARS)
def test_a6_silence_counts_only_where_something_could_be_heard(names: dict[str, str], row: str) -> None:
    witness, silent, hears = EARS[row]
    ip("-n", names["b"], "route", "add", f"{BY_A_ROUTE}/32", "via", str(WITNESS))
    for label in silent:
        silence(names[label])
    result = look(names["b"], with_witness(witness))
    if hears:
        assert (result.outcome, result.reason) == (Outcome.FAILED, "absent")
        return
    assert (result.outcome, result.reason) == (Outcome.NOT_LOOKED, "interface")
    assert "owners" not in result.details
    assert result.text == (
        "address of www: could not check: no answer at all on eth0, not even from 10.9.0.3: "
        "this host may not be receiving any"
    )


def test_a6_a_host_that_hears_nothing_does_not_even_answer_for_itself(names: dict[str, str]) -> None:
    """It holds the address itself, and could not hear who else does."""
    add_address(names["b"], SERVICE4)
    assert look(names["b"], with_witness(str(WITNESS))).outcome is Outcome.WELL
    for label in ("a", "x"):
        silence(names[label])
    assert look(names["b"], with_witness(str(WITNESS))).outcome is Outcome.NOT_LOOKED


def test_who_is_asked_first_on_the_way_to_a_witness(names: dict[str, str]) -> None:
    ip("-n", names["b"], "route", "add", f"{BY_A_ROUTE}/32", "via", str(WITNESS))
    asked = [
        ip_address(text)
        for text in ("10.9.0.9", BY_A_ROUTE, "fd09::9", "203.0.113.5", "127.0.0.1", "10.9.0.2")
    ]

    async def work() -> tuple[Address, ...]:
        return await neighbours_towards("eth0", asked)

    on_the_wire = (ip_address("10.9.0.9"), WITNESS, ip_address("fd09::9"))
    assert run_in(names["b"], work) == on_the_wire, "not those that no way of this interface leads to"


def test_without_a_witness_on_its_network_silence_is_believed(names: dict[str, str]) -> None:
    for label in ("a", "x"):
        silence(names[label])
    assert look(names["b"], with_witness("203.0.113.5")).reason == "absent"


def test_b11_an_interface_that_is_not_ethernet_could_not_be_asked_on() -> None:
    with namespace("tun") as name:
        ip("-n", name, "tuntap", "add", "eth0", "mode", "tun")
        ip("-n", name, "link", "set", "eth0", "up")
        add_address(name, "10.9.0.2/24")
        result = look(name, with_witness(str(WITNESS)))
    assert (result.outcome, result.reason) == (Outcome.NOT_LOOKED, "interface")
    assert result.text.endswith("cannot send on interface eth0: eth0 is not an Ethernet interface")

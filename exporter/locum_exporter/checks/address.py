"""Check which hosts hold a service's addresses, from the neighbours' answers and this host's own addresses.

Details: `owners`, the number of different hosts that hold them (present if the check could be made),
`owner_names`, `held`, the owners of each address, and `names_of_macs`, the owners of the MAC addresses that
answered. A MAC address of no known host counts as a separate host.

Silence counts only if answers can arrive at all: the witnesses on the same network, or the gateway to them, are
asked too, and if they do not answer either, the check could not be made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyroute2.netlink.exceptions import NetlinkError

from locum_exporter.net.local_addresses import LocalHost, local_host, neighbours_towards
from locum_exporter.net.neighbours import NeighbourError, Neighbours
from locum_exporter.result import CheckResult
from locum_inventory.enrolment.boot_guard import is_muted
from locum_inventory.site.model import Address, Service, Site

UNKNOWN_MAC = "unknown MAC "
_ATTEMPTS = 3
_AGAIN_ATTEMPTS = 2  # more than one, so that a lost packet does not hide a second holder
_ROUND_SHARE = (
    0.6  # share of the deadline for the first round; the rest is for a second round when two hosts answer
)
_LONGEST_SPACING_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Question:
    """The addresses to ask for, and the host and interface to ask from."""

    service: Service
    service_addresses: tuple[Address, ...]
    host_addresses: Mapping[str, Address]
    interface: str
    this_host: LocalHost
    this_name: str | None
    must_answer: tuple[
        Address, ...
    ]  # neighbours that answer whichever host holds it: witnesses, or the gateway to them
    muted: bool  # the boot guard blocks this host's traffic for these addresses
    owner_of_mac: Callable[
        [str], str | None
    ]  # the owner of a MAC address that no host uses for its own address


@dataclass(frozen=True, slots=True)
class _Heard:
    """The answers: the owners of each service address, and the owner of each MAC address."""

    held: Mapping[Address, frozenset[str]]
    names: Mapping[str, str]


async def address(
    neighbours: Neighbours,
    site: Site,
    service_name: str,
    deadline_seconds: float,
    *,
    this_name: str | None,
    spacing_seconds: float = _LONGEST_SPACING_SECONDS,
    owner_of_mac: Callable[[str], str | None] = lambda mac: None,
) -> CheckResult:
    """Check which hosts hold a service's addresses: it should be one, and must never be two.

    `this_name` is the name of this host, if the site file has it. `spacing_seconds` is how long to wait for
    answers after each of the three requests, as far as the deadline allows. `owner_of_mac` returns the owner of
    other cards.
    """
    started_at = time.perf_counter()
    where = f"address of {service_name}"
    try:
        async with asyncio.timeout(deadline_seconds):
            question = await _question(site, service_name, this_name, owner_of_mac)
            heard = await _held(
                neighbours, question, min(spacing_seconds, deadline_seconds * _ROUND_SHARE / _ATTEMPTS)
            )
    except NeighbourError as fault:
        seconds = time.perf_counter() - started_at
        return CheckResult(fault.reason, seconds, f"{where}: could not check: {fault}")
    except TimeoutError:
        seconds = time.perf_counter() - started_at
        text = f"{where}: could not check within {deadline_seconds * 1000:.0f} ms"
        return CheckResult("busy", seconds, text)
    except (OSError, NetlinkError) as fault:
        text = f"{where}: could not check: the kernel did not list this host's addresses: {fault}"
        return CheckResult("interface", time.perf_counter() - started_at, text)
    return _judge(where, heard, time.perf_counter() - started_at)


async def _question(
    site: Site, service_name: str, this_name: str | None, owner_of_mac: Callable[[str], str | None]
) -> _Question:
    service, this_host = site.services[service_name], await local_host()
    addresses = tuple(interface.ip for interface in service.addresses)
    interface = service.interface.get(this_name) if this_name is not None else None
    if interface is None:
        interface = this_host.interface_towards(addresses[0])
    if interface is None:
        raise NeighbourError("interface", f"no interface of this host is on the network of {addresses[0]}")
    must_answer = await neighbours_towards(interface, site.witnesses)
    hosts = {name: site.hosts[name].address for name in service.hosts if name != this_name}
    return _Question(
        service,
        addresses,
        hosts,
        interface,
        this_host,
        this_name,
        must_answer,
        is_muted(service_name),
        owner_of_mac,
    )


async def _held(neighbours: Neighbours, question: _Question, spacing_seconds: float) -> _Heard:
    """Return the owners of each service address.

    An address may move from one host to another within a round, so that both answer. So two owners count only if
    both answer again.
    """
    heard = await _ask(neighbours, question, _ATTEMPTS, spacing_seconds)
    if any(len(owners) > 1 for owners in heard.held.values()):
        heard = await _ask(neighbours, question, _AGAIN_ATTEMPTS, spacing_seconds / _AGAIN_ATTEMPTS)
    return heard


async def _ask(neighbours: Neighbours, question: _Question, attempts: int, spacing_seconds: float) -> _Heard:
    asked = (*question.service_addresses, *question.host_addresses.values())
    answers = await neighbours.who_has(
        question.interface,
        asked,
        attempts=attempts,
        spacing_seconds=spacing_seconds,
        this_host=question.this_host,
        must_answer=question.must_answer,
    )
    this_name = question.this_name or "this host"
    names = {mac: name for name, own in question.host_addresses.items() for mac in answers[own]}
    # Another card of this host on the same network also answers.
    names |= dict.fromkeys(question.this_host.macs, this_name)
    held = {}
    for service_address in question.service_addresses:
        owners = {
            names.get(mac) or question.owner_of_mac(mac) or f"{UNKNOWN_MAC}{mac}"
            for mac in answers[service_address]
        }
        if question.this_host.holds(service_address) and not question.muted:
            owners.add(this_name)
        held[service_address] = frozenset(owners)
    return _Heard(held, names)


def _judge(where: str, heard: _Heard, seconds: float) -> CheckResult:
    held = heard.held
    hosts = sorted(frozenset().union(*held.values()))
    free = [str(one) for one, owners in held.items() if not owners]
    details: dict[str, object] = {
        "owners": 0 if free and len(hosts) < 2 else len(hosts),
        "owner_names": tuple(hosts),
        "held": {str(one): tuple(sorted(owners)) for one, owners in held.items()},
        "names_of_macs": dict(heard.names),
    }
    if len(hosts) > 1:
        return CheckResult(
            "conflict", seconds, f"{where}: held by {len(hosts)} hosts: {', '.join(hosts)}", details
        )
    if free:
        return CheckResult("absent", seconds, f"{where}: no host holds {', '.join(free)}", details)
    details["owner"] = hosts[0]
    return CheckResult(None, seconds, f"{where}: held by {hosts[0]}", details)

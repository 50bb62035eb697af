"""Who holds a service's addresses: the neighbours' answers joined with what this host itself holds.

Details: `owners`, the number of different hosts that hold them (there when it could look), `owner_names`,
`held`, the owners of each address, and `names_of_macs`, whose the MAC addresses are that were heard. One that
belongs to no known host counts as a host of its own.

Silence counts only where something could be heard: the witnesses on the same network, or the gateway on the way to
them, are asked as well, and where they are silent too the check could not be made.
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
_ROUND_SHARE = 0.6  # of the deadline for the first round; the rest is for asking again when two hosts answer
_LONGEST_SPACING_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, of whom, and from where."""

    service: Service
    service_addresses: tuple[Address, ...]
    host_addresses: Mapping[str, Address]
    interface: str
    this_host: LocalHost
    this_name: str | None
    must_answer: tuple[
        Address, ...
    ]  # neighbours that are there whoever holds it: witnesses, or the way to them
    muted: bool  # the boot guard keeps this host unheard for these addresses, whatever it has
    owner_of_mac: Callable[[str], str | None]  # whose a MAC address is that no host answered with for itself


@dataclass(frozen=True, slots=True)
class _Heard:
    """Who answered: the owners of each service address, and whose MAC address is which."""

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
    """Ask which hosts hold a service's addresses: one should, and two never may.

    `this_name` is the name of the host this runs on, if the site file knows it. `spacing_seconds` is how long
    to wait for answers after each of the three times it is asked, as far as the deadline has room for it.
    `owner_of_mac` says whose other cards are.
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
        return CheckResult(fault.reason, seconds, f"{where}: could not look: {fault}")
    except TimeoutError:
        seconds = time.perf_counter() - started_at
        text = f"{where}: could not look within {deadline_seconds * 1000:.0f} ms"
        return CheckResult("busy", seconds, text)
    except (OSError, NetlinkError) as fault:
        text = f"{where}: could not look: the kernel did not say what this host has: {fault}"
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

    Within one round an address may move from one host to another, and both are heard. So two are believed only
    if both answer again.
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
    # Another card of this host on the same network answers too.
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
        return CheckResult("absent", seconds, f"{where}: nobody holds {', '.join(free)}", details)
    details["owner"] = hosts[0]
    return CheckResult(None, seconds, f"{where}: held by {hosts[0]}", details)

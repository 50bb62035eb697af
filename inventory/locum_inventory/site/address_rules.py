"""Rules for the addresses of a site: which ones are usable, and which ones must differ."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address

from locum_inventory.site.draft import Breach, Draft
from locum_inventory.site.model import Address, InterfaceAddress

SHORTEST_PREFIX = {4: 8, 6: 16}


def breaches(draft: Draft) -> Iterator[Breach]:
    """Yield each address that is not allowed where it is given, with what to give instead."""
    yield from _hosts_have_their_own_addresses(draft)
    yield from _service_addresses_belong_to_one_service(draft)
    yield from _addresses_can_be_used(draft)
    yield from _witnesses_stand_outside(draft)


def _hosts_have_their_own_addresses(draft: Draft) -> Iterator[Breach]:
    first: dict[Address, str] = {}
    for path, name, address in draft.host_addresses:
        if address in first:
            yield (
                path,
                f"is {address}, which host '{first[address]}' already has: give each host its own address",
            )
        first.setdefault(address, name)


def _service_addresses_belong_to_one_service(draft: Draft) -> Iterator[Breach]:
    own = {address: name for _, name, address in draft.host_addresses}
    first: dict[Address, str] = {}
    for path, service, interface in draft.service_addresses:
        address = interface.ip
        if address in own:
            yield path, _own_address_moves(own[address], address)
        if address in first:
            yield path, f"is {address}, which service '{first[address]}' already has: use each address once"
        first.setdefault(address, service)


def _own_address_moves(host: str, address: Address) -> str:
    return (
        f"is {address}, the host address of '{host}', through which locum asks '{host}' to release it: give"
        f" '{host}' another address (hosts.{host}.address), and keep {address} as the service address"
    )


def _addresses_can_be_used(draft: Draft) -> Iterator[Breach]:
    for path, _, interface in draft.service_addresses:
        wrong = _unusable(interface.ip, loopback=True) or _unusable_in_its_network(interface)
        if wrong:
            yield path, f"is {interface.with_prefixlen}, {wrong}"
    for path, _, address in draft.host_addresses:
        if wrong := _unusable(address, loopback=False):
            yield path, f"is {address}, {wrong}"
    for path, address in draft.witnesses:
        if wrong := _unusable(address, loopback=True):
            yield path, f"is {address}, {wrong}"


def _unusable(address: Address, *, loopback: bool) -> str | None:
    """Return why another host cannot reach an address of this kind, or None."""
    if address.is_unspecified:
        return "which cannot be assigned to a host: give another address"
    if address.is_multicast:
        return "a multicast address: give a unicast address"
    if loopback and address.is_loopback:
        return "a loopback address, which exists on every host: give one that other hosts can reach"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return f"an IPv4-mapped IPv6 address: write {address.ipv4_mapped}"
    return None


def _unusable_in_its_network(service_address: InterfaceAddress) -> str | None:
    """Return why a service cannot use an address within its own prefix, or None."""
    network, address = service_address.network, service_address.ip
    if network.prefixlen < SHORTEST_PREFIX[service_address.version]:
        return (
            f"whose prefix covers far more than one network: give the prefix length of the hosts' network,"
            f" at least /{SHORTEST_PREFIX[service_address.version]}"
        )
    if isinstance(address, IPv6Address) and address.is_link_local:
        return (
            "a link-local address, which clients cannot use without a zone: give a global or unique local one"
        )
    if network.num_addresses <= 2:
        return None  # a /32 or /128 is the address alone; a /31 has neither network nor broadcast address
    if address == network.network_address:
        kind = "network address" if service_address.version == 4 else "routers' anycast address"
        return f"the {kind} of {network}: give an address within it"
    if service_address.version == 4 and address == network.broadcast_address:
        return f"the broadcast address of {network}: give an address within it"
    return None


def _witnesses_stand_outside(draft: Draft) -> Iterator[Breach]:
    own = {address: name for _, name, address in draft.host_addresses}
    moving = {interface.ip: service for _, service, interface in draft.service_addresses}
    outside = (
        "a witness must be independent of the hosts: give the gateway or another address that does not fail with"
        " them"
    )
    seen: set[Address] = set()
    for path, address in draft.witnesses:
        if address in own:
            yield path, f"is {address}, host '{own[address]}': {outside}"
        if address in moving:
            yield path, f"is {address}, an address of service '{moving[address]}': {outside}"
        if address in seen:
            yield path, f"is {address} twice: name each witness once"
        seen.add(address)

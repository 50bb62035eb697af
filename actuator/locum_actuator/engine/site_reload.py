"""Refuse a reload of the site file that would leave unmanaged addresses behind on a host.

locum would no longer watch, announce or remove them. A reading that drops an address which a host still has is
refused, and so is one that drops the host that holds the service: a person has to remove it first. A service that
is removed completely stays where it is, and the reload reports that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from locum_actuator.domain.ports import Gates
from locum_actuator.system import runtime
from locum_exporter.checks.address import address as look_for_address
from locum_exporter.net.neighbours import Neighbours
from locum_inventory.errors import LocumError
from locum_inventory.gate.protocol import GateError
from locum_inventory.site.model import InterfaceAddress, Service, Site

WIRE_SECONDS = 1.0
GATE_SECONDS = 2.0

# (service, addresses) -> by address, the hosts and unknown MACs that have it; raises `CouldNotLookError`.
WhoHas = Callable[[str, tuple[InterfaceAddress, ...]], Mapping[str, frozenset[str]]]


class CouldNotLookError(LocumError):
    """Raised if it could not be checked which host has an address."""


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """The result of a reload: the new reading was accepted if there are no faults."""

    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_reload(old: Site, new: Site, holders: Mapping[str, str], who_has: WhoHas) -> ReloadResult:
    """Return the faults that prevent a reload, and notes for people if it is accepted."""
    faults: list[str] = []
    for name, service in old.services.items():
        if name in new.services:
            faults += _dropped(name, service, new, holders.get(name), who_has)
    return ReloadResult(tuple(faults), tuple(_notes(old, new, holders)))


def unwatched(name: str, holder: str) -> str:
    """Describe what happens to a held service that is no longer in the site file."""
    return f"{name} is no longer in the site file: it stays on {holder}, and locum no longer watches it"


def _notes(old: Site, new: Site, holders: Mapping[str, str]) -> Iterator[str]:
    named = _addresses(new)
    for name, service in old.services.items():
        if name in new.services:
            continue
        if name not in holders:
            yield f"{name} is no longer in the site file, and locum no longer watches it"
        elif not service.addresses or not {address.ip for address in service.addresses} & named:
            yield unwatched(name, holders[name])
        else:
            yield f"{name} is no longer in the site file, and its address is another service's now"


def _addresses(site: Site) -> set[object]:
    return {address.ip for service in site.services.values() for address in service.addresses}


def _dropped(name: str, service: Service, new: Site, holder: str | None, who_has: WhoHas) -> Iterator[str]:
    """Yield the addresses that a service still named in the new reading would leave behind."""
    named = _addresses(new)
    leaves = holder is not None and holder not in new.services[name].hosts
    sought = tuple(address for address in service.addresses if leaves or address.ip not in named)
    if not sought:
        return
    key = f"services.{name}.{'hosts' if leaves else 'addresses'}"
    words = ", ".join(str(address.ip) for address in sought)
    what = f"{holder} is no longer there" if leaves else f"{words} is no longer there"
    try:
        found = who_has(name, sought)
    except CouldNotLookError as fault:
        yield f"{key}: {what}, and it could not be checked which host has {words}: {fault}"
        return
    for address in sought:
        owners = found[str(address.ip)]
        if leaves:
            owners -= frozenset(new.services[name].hosts)
        if not owners:
            continue
        who = ", ".join(sorted(owners))
        if leaves:
            yield f"{key}: {what}, and {who} still has {address.ip}: move the service to another of its hosts first"
        else:
            yield (
                f"{key}: {what}, and {who} still has it: locum pause {name}, remove {address} there"
                f" (ip addr del), reload again, and locum resume {name}"
            )


class AddressLookup:
    """Finds the hosts that have an address of the old reading, over the network and the holder's gate."""

    def __init__(self, site: Site, gates: Gates, holders: Mapping[str, str]) -> None:
        self._site = site
        self._gates = gates
        self._holders = holders

    def who_has(self, name: str, addresses: tuple[InterfaceAddress, ...]) -> Mapping[str, frozenset[str]]:
        """Return the hosts that have each address; raises `CouldNotLookError`."""
        with asyncio.Runner(loop_factory=runtime.event_loop) as runner:
            found = runner.run(self.on_the_wire(name, addresses))
        return self.with_the_gate(name, found)

    def with_the_gate(self, name: str, found: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
        """Add the addresses that the holder's gate reports: it may answer even if ARP does not get through."""
        holder = self._holders.get(name)
        said = {} if holder is None else self._at_the_gate(name, holder)
        return {
            text: owners | ({holder} if holder is not None and said.get(text) else set())
            for text, owners in found.items()
        }

    async def on_the_wire(
        self, name: str, addresses: tuple[InterfaceAddress, ...]
    ) -> Mapping[str, frozenset[str]]:
        """Check by ARP or neighbour solicitation, and on this host itself; raises `CouldNotLookError`."""
        service = self._site.services[name].model_copy(update={"addresses": addresses})
        asked = self._site.model_copy(update={"services": {name: service}})
        async with Neighbours() as neighbours:
            result = await look_for_address(
                neighbours, asked, name, WIRE_SECONDS, this_name=self._site.actuator.host
            )
        held = result.details.get("held")
        if not isinstance(held, Mapping):
            raise CouldNotLookError(result.text)
        return {str(address.ip): frozenset(held[str(address.ip)]) for address in addresses}

    def _at_the_gate(self, name: str, holder: str) -> Mapping[str, bool]:
        try:
            status = self._gates[holder].status(deadline_seconds=GATE_SECONDS).services.get(name)
        except GateError:
            return {}  # the network has been checked; a host that is off has no address
        return {} if status is None else {str(address): held for address, held in status.held.items()}

"""What another reading of the site file would leave behind on a holder: addresses that it no longer names.

Nobody would watch them, announce them or take them off any more. A reading that drops an address which somebody
still has is refused, and so is one that drops the host that holds the service: a person takes it off first. A
service that is gone altogether stays where it is, and people are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from locum_actuator.domain.ports import Gates
from locum_exporter.checks.address import address as look_for_address
from locum_exporter.net.neighbours import Neighbours
from locum_inventory.errors import LocumError
from locum_inventory.gate.protocol import GateError
from locum_inventory.site.model import Interface, Service, Site

WIRE_SECONDS = 1.0
GATE_SECONDS = 2.0

# (service, the addresses to look for) -> by address, the hosts and strange MACs that have it; `CouldNotLookError`.
WhoHas = Callable[[str, tuple[Interface, ...]], Mapping[str, frozenset[str]]]


class CouldNotLookError(LocumError):
    """Nobody could be asked who has an address."""


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What became of another reading of the site file: it was taken, unless there are faults."""

    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_reload(old: Site, new: Site, holders: Mapping[str, str], who_has: WhoHas) -> ReloadResult:
    """Say what keeps a new reading from being taken, and what people should know where it is."""
    faults: list[str] = []
    for name, service in old.services.items():
        if name in new.services:
            faults += _dropped(name, service, new, holders.get(name), who_has)
    return ReloadResult(tuple(faults), tuple(_notes(old, new, holders)))


def unwatched(name: str, holder: str) -> str:
    """Say what it means that a service which is held is no longer in the site file."""
    return f"{name} is no longer in the site file: it stays on {holder}, and nobody watches it any more"


def _notes(old: Site, new: Site, holders: Mapping[str, str]) -> Iterator[str]:
    named = _addresses(new)
    for name, service in old.services.items():
        if name in new.services:
            continue
        if name not in holders:
            yield f"{name} is no longer in the site file, and nobody watches it any more"
        elif not service.addresses or not {address.ip for address in service.addresses} & named:
            yield unwatched(name, holders[name])
        else:
            yield f"{name} is no longer in the site file, and its address is another service's now"


def _addresses(site: Site) -> set[object]:
    return {address.ip for service in site.services.values() for address in service.addresses}


def _dropped(name: str, service: Service, new: Site, holder: str | None, who_has: WhoHas) -> Iterator[str]:
    """Yield what would be left behind by a service that the new reading still names."""
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
        yield f"{key}: {what}, and nobody could be asked who has {words}: {fault}"
        return
    for address in sought:
        owners = found[str(address.ip)]
        if leaves:
            owners -= frozenset(new.services[name].hosts)
        if not owners:
            continue
        who = ", ".join(sorted(owners))
        if leaves:
            yield f"{key}: {what}, and {who} still has {address.ip}: let another of its hosts be the holder first"
        else:
            yield (
                f"{key}: {what}, and {who} still has it: locum pause {name}, take {address} off there"
                f" (ip addr del), reload again, and locum resume {name}"
            )


class AddressLookup:
    """Asks the wire, and the gate of who holds a service, who has an address of the reading before."""

    def __init__(self, site: Site, gates: Gates, holders: Mapping[str, str]) -> None:
        self._site = site
        self._gates = gates
        self._holders = holders

    def who_has(self, name: str, addresses: tuple[Interface, ...]) -> Mapping[str, frozenset[str]]:
        """Return who has each address; raises `CouldNotLookError`."""
        return self.with_the_gate(name, asyncio.run(self.on_the_wire(name, addresses)))

    def with_the_gate(self, name: str, found: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
        """Add what the gate of the holder says that it has: it may be heard where its ARP is not."""
        holder = self._holders.get(name)
        said = {} if holder is None else self._at_the_gate(name, holder)
        return {
            text: owners | ({holder} if holder is not None and said.get(text) else set())
            for text, owners in found.items()
        }

    async def on_the_wire(self, name: str, addresses: tuple[Interface, ...]) -> Mapping[str, frozenset[str]]:
        """Ask by ARP or neighbour solicitation, and look at this host itself; raises `CouldNotLookError`."""
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
            return {}  # the wire has been asked; a host that is off has nothing
        return {} if status is None else {str(address): held for address, held in status.held.items()}

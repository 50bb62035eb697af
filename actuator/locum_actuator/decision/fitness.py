"""Decide from a gate's report whether its host can be given a service."""

from __future__ import annotations

from collections.abc import Sequence

from locum_actuator.decision.epochs import DAMAGED_FROM
from locum_inventory.gate.protocol import GateStatus, ServiceStatus
from locum_inventory.site.model import Service


def why_unfit(name: str, service: Service, host: str, gate: GateStatus) -> str | None:
    """Return why a host can neither start nor hold a service; None if it can."""
    status = gate.services.get(name)
    if status is None:
        return f"its gate does not know {name}: run `locum enrol {host}`"
    if gate.clock is None:
        return f"its gate is of version {gate.version}: run `locum enrol {host}`"
    if status.epoch_damaged or status.epoch >= DAMAGED_FROM:
        return f"its gate's epoch of {name} is damaged: run `locum reset-epoch {name}`"
    if set(status.addresses or ()) != set(service.addresses):
        return _other_addresses(name, service, host, status.addresses or ())
    if service.address_commands is not None:
        return None
    return _interface_fault(name, service.interface[host], status.interface, host, gate)


def why_drifted(name: str, service: Service, host: str, status: ServiceStatus) -> str | None:
    """Return how the addresses that a gate of any version knows differ from the site file's; None if they match."""
    if set(status.held) == {interface.ip for interface in service.addresses}:
        return None
    return _other_addresses(name, service, host, status.addresses or tuple(status.held))


def _other_addresses(name: str, service: Service, host: str, known: Sequence[object]) -> str:
    there = ", ".join(map(str, known)) or "no address"
    wanted = ", ".join(map(str, service.addresses)) or "none"
    return f"its gate knows {there} for {name}, and the site file says {wanted}: run `locum enrol {host}`"


def _interface_fault(name: str, wanted: str, there: str | None, host: str, gate: GateStatus) -> str | None:
    if there != wanted:
        return f"its gate puts {name} on {there}, and the site file says {wanted}: run `locum enrol {host}`"
    link = gate.links.get(wanted)
    if link is None:
        has = ", ".join(sorted(gate.links.keys() - {"lo"})) or "none"
        return f"it has no interface {wanted} (it has {has})"
    if link.state == "up":
        return None
    return f"its interface {wanted} {'has no carrier' if link.state == 'no_carrier' else 'is down'}"

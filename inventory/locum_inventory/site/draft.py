"""The parts of a site that can be read from the plain values of its file, even if the file is not valid.

The rules about several keys read a `Draft` rather than a finished `Site`, so that their faults are reported in the
same run as the faults of single keys. What cannot be read is left out here; the model reports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from locum_inventory.site.model import Address, InterfaceAddress
from locum_inventory.site.yaml_positions import KeyPath

Breach = tuple[KeyPath, str]  # where; what is wrong and what to give instead


@dataclass(frozen=True, slots=True)
class Draft:
    """The hosts, services and addresses that the file names, with their paths."""

    hosts: dict[str, Any]
    services: dict[str, dict[str, Any]]
    vantage_points: dict[str, Any]
    actuator_host: str | None
    host_addresses: tuple[tuple[KeyPath, str, Address], ...]  # path, host, its own address
    # Path, service, one of its addresses.
    service_addresses: tuple[tuple[KeyPath, str, InterfaceAddress], ...]
    witnesses: tuple[tuple[KeyPath, Address], ...]

    def hosts_of(self, service: str) -> list[tuple[KeyPath, str]]:
        """Return the hosts that a service names, in its order, with their paths."""
        listed = _list(self.services[service].get("hosts"))
        found = ((("services", service, "hosts", index), name) for index, name in enumerate(listed))
        return [(path, name) for path, name in found if isinstance(name, str)]


def read_draft(data: dict[str, Any]) -> Draft:
    """Read the parts that can be read."""
    hosts, services = mapping(data.get("hosts")), mapping(data.get("services"))
    own = (
        (("hosts", name, "address"), name, _address(mapping(host).get("address")))
        for name, host in hosts.items()
    )
    moving = (
        (("services", name, "addresses", index), name, _interface_address(text))
        for name, service in services.items()
        for index, text in enumerate(_list(mapping(service).get("addresses")))
    )
    witnesses = (
        (("witnesses", index), _address(text)) for index, text in enumerate(_list(data.get("witnesses")))
    )
    actuator_host = mapping(data.get("actuator")).get("host")
    return Draft(
        hosts=hosts,
        services={name: mapping(service) for name, service in services.items()},
        vantage_points=mapping(data.get("vantage_points")),
        actuator_host=actuator_host if isinstance(actuator_host, str) else None,
        host_addresses=tuple((path, name, address) for path, name, address in own if address is not None),
        service_addresses=tuple(
            (path, name, address) for path, name, address in moving if address is not None
        ),
        witnesses=tuple((path, address) for path, address in witnesses if address is not None),
    )


def mapping(value: Any) -> dict[str, Any]:
    """Return the value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _address(value: Any) -> Address | None:
    try:
        return ip_address(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _interface_address(value: Any) -> InterfaceAddress | None:
    try:
        return ip_interface(value) if isinstance(value, str) else None
    except ValueError:
        return None

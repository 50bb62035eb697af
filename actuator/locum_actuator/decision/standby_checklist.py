"""Check what a host needs before it is a standby. Pure functions.

Each item is yes, no or "could not check". Its text describes the state and, if something is wrong, whether locum or
a person has to repair it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from locum_actuator.decision.fitness import why_unfit
from locum_actuator.domain.situation import Copy
from locum_inventory.gate.host_file import gate_version, host_file_sha256
from locum_inventory.gate.protocol import GateStatus, ServiceStatus
from locum_inventory.site.model import Service, Site

Name = Literal["reachable", "gate", "current", "address", "service", "data", "newer"]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist. `ok` is None if it could not be checked."""

    name: Name
    ok: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class LastPatrol:
    """Results of the patrol's last round on a host."""

    gate: GateStatus | None  # None: silent
    text: str = ""  # why it is silent
    echoes: int | None = (
        None  # how many came back of those sent when the gate was silent; None: none were sent
    )


def checklist(
    site: Site, service: str, host: str, seen: LastPatrol | None, copy: Copy | None, *, unseen: bool = False
) -> tuple[Item, ...]:
    """Return the checklist of a host that does not hold a service.

    `copy` is None if nothing is mirrored. `unseen`: the host lost the service in a takeover, and no mirror run has
    checked since whether it has data that no other host has.
    """
    values = site.services[service]
    if seen is None:
        return (Item("reachable", None, "not asked yet"),)
    items = [_reachable(seen)]
    if seen.gate is None:
        items.append(Item("gate", False, f"{seen.text}: locum keeps asking"))
    else:
        items.append(Item("gate", True, "its gate answers"))
        items.append(_current(site, service, host, seen.gate))
        status = seen.gate.services.get(service)
        if status is not None:
            items += [_address(status), _service(values, status)]
    if copy is not None:
        items += [_data(service, copy), _newer(host, unseen=unseen)]
    return tuple(items)


def is_complete(items: tuple[Item, ...]) -> bool:
    """Return whether a host is a standby: every item of its checklist is yes."""
    return all(item.ok for item in items)


def obstacles(items: tuple[Item, ...]) -> tuple[str, ...]:
    """Return what prevents a planned move and is neither repaired nor checked by the move itself."""
    return tuple(item.text for item in items if item.name == "current" and not item.ok)


def _reachable(seen: LastPatrol) -> Item:
    if seen.gate is not None or seen.echoes:
        return Item("reachable", True, "it answers")
    if seen.echoes is None:
        return Item("reachable", None, "it could not be pinged")
    return Item("reachable", False, "it does not answer a ping: switch it on, or repair the line")


def _current(site: Site, service: str, host: str, gate: GateStatus) -> Item:
    """Check whether a gate is current, and whether its report allows its host to be given the service."""
    if gate.version != gate_version():
        what = f"its gate is of version {gate.version}, and this locum's is {gate_version()}"
    elif gate.config_sha256 != host_file_sha256(site, host):
        what = "its gate's configuration was generated from a different site file"
    elif (
        gate.clock is not None and (why := why_unfit(service, site.services[service], host, gate)) is not None
    ):
        return Item("current", False, why)
    else:
        return Item("current", True, "its gate is current")
    return Item("current", False, f"{what}: run `locum enrol {host}`")


def _address(status: ServiceStatus) -> Item:
    held = [str(address) for address, here in status.held.items() if here]
    if held:
        return Item("address", False, f"it holds {', '.join(held)}: locum releases it")
    return Item("address", True, "it does not hold the address")


def _service(service: Service, status: ServiceStatus) -> Item:
    """Check that the service is in the state that a standby needs; passes if the site file names no process."""
    if status.processes is None:
        return Item("service", True, "its processes are not counted")
    if service.standby == "running":
        text = f"{status.processes} processes run, as on every host"
        return (
            Item("service", True, text)
            if status.processes
            else Item("service", False, "no process runs, and one should: start the service there")
        )
    if status.processes:
        text = (
            f"{status.processes} processes run: locum stops them on a host that returns; "
            "otherwise stop them there"
        )
        return Item("service", False, text)
    return Item("service", True, "it does not run there")


def _data(service: str, copy: Copy) -> Item:
    if copy.stale:
        return Item("data", False, f"it has {copy.text}: run `locum mirror {service}`")
    return Item("data", True, f"it has {copy.text}")


def _newer(host: str, *, unseen: bool) -> Item:
    if not unseen:
        return Item("newer", True, "it has no data that the holder lacks")
    text = "its last writes before the takeover may exist nowhere else: a person must decide what happens to them"
    return Item("newer", False, f"{text} (--discard-changes-on {host})")

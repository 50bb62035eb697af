"""The gates an exporter may ask: a client for each host that has one."""

from __future__ import annotations

from locum_inventory.gate.gates import GateClients
from locum_inventory.site.model import Site


def open_gates(site: Site, this_name: str | None) -> GateClients:
    """Return the gates by host name; nothing is connected before it is asked.

    The host this runs on (`this_name`) is asked directly, others over SSH with the exporter's key.
    """
    gates = GateClients(site, this_name, role="exporter")
    for name in hosts_with_gates(site, this_name):
        # Making one may load a library for a tenth of a second: better now than while others' looks wait.
        gates[name]
    return gates


def hosts_with_gates(site: Site, this_name: str | None) -> list[str]:
    """Return the hosts whose gate can be asked from here and has a process to look for."""
    watched = {
        host
        for service in site.services.values()
        if service.checks.process is not None
        for host in service.hosts
    }
    return [name for name, host in site.hosts.items() if name in watched and (name == this_name or host.ssh)]

"""The gates that an exporter can ask: a client for each host with a gate."""

from __future__ import annotations

from locum_inventory.gate.gates import GateClients
from locum_inventory.site.model import Site


def open_gates(site: Site, this_name: str | None) -> GateClients:
    """Return the gates by host name; a gate connects on first use.

    The gate of this host (`this_name`) is run directly, others are reached over SSH with the exporter's key.
    """
    gates = GateClients(site, this_name, role="exporter")
    for name in hosts_with_gates(site, this_name):
        # Creating one may load a library for a tenth of a second: do it now, before checks wait for it.
        gates[name]
    return gates


def hosts_with_gates(site: Site, this_name: str | None) -> list[str]:
    """Return the hosts whose gate can be reached from here and has a process to check."""
    watched = {
        host
        for service in site.services.values()
        if service.checks.process is not None
        for host in service.hosts
    }
    return [name for name, host in site.hosts.items() if name in watched and (name == this_name or host.ssh)]

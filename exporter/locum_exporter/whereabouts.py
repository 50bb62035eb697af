"""Which host of the site file this is."""

from __future__ import annotations

from locum_exporter.local import local_addresses
from locum_inventory.model import Site


async def find_this_name(site: Site) -> str | None:
    """Return the name of the host whose address is configured on this machine; None if there is none."""
    here = await local_addresses()
    return next((name for name, host in site.hosts.items() if host.address in here), None)

"""Find the host of the site file that this machine is: its address is on one of this machine's interfaces."""

from __future__ import annotations

import asyncio

from locum_exporter.net.local_addresses import configured_addresses, local_addresses
from locum_inventory.errors import LocumError
from locum_inventory.site.model import Address, Site


class WrongMachineError(LocumError):
    """This machine is not the host that a program must run on; the text is one line with the reason."""


async def find_this_name(site: Site) -> str | None:
    """Return the name of the host whose address is configured on this machine, or None."""
    here = await local_addresses()
    return next((name for name, host in site.hosts.items() if host.address in here), None)


def require_actuator_host(site: Site) -> None:
    """Verify that this machine is `actuator.host`. Raises `WrongMachineError` if it is not or if it is unknown.

    Addresses that are claimed "on the actuator's host" are claimed on this machine, so it must be that host. Do
    not call this in a running event loop.
    """
    host = site.actuator.host
    if host not in (names := names_here(site)):
        address = site.hosts[host].address
        raise WrongMachineError(
            f"this machine is not {host}, which actuator.host names: none of its interfaces has {address}; "
            f"it is {' and '.join(names) or 'no host of this site'}"
        )


def require_no_other_host(site: Site, host: str) -> None:
    """Verify that this machine, given as `host`, is not another host of the site.

    A machine without any host's address may be any of them, for example behind NAT. Raises `WrongMachineError`.
    """
    names = names_here(site)
    if names and host not in names:
        raise WrongMachineError(f"--host: this machine is {' and '.join(names)} by its addresses, not {host}")


def names_here(site: Site) -> tuple[str, ...]:
    """Return the hosts whose addresses are on this machine. Raises `WrongMachineError` if it is unknown."""
    try:
        here = asyncio.run(configured_addresses())
    except OSError as error:
        text = error.strerror or str(error)
        raise WrongMachineError(f"it cannot be determined which host this machine is: {text}") from None
    return tuple(name for name, host in site.hosts.items() if _is_here(host.address, here))


def _is_here(address: Address, here: frozenset[Address]) -> bool:
    return address in here or address.is_loopback  # all of 127.0.0.0/8 is this machine

"""Read the Ethernet address of an interface of this host from sysfs."""

from __future__ import annotations

from pathlib import Path

_ARPHRD_ETHER = 1  # linux/if_arp.h


def mac_of(interface: str) -> str | None:
    """Return the MAC address of an interface; None if it is not Ethernet (such as tun) and so has no ARP.

    Raises OSError if there is no such interface.
    """
    directory = Path("/sys/class/net") / interface
    if int((directory / "type").read_text()) != _ARPHRD_ETHER:
        return None
    return (directory / "address").read_text().strip()

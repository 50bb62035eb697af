"""Whose a MAC address is, by what the gates report of their hosts' interfaces.

A host answers ARP for a service address on any of its interfaces, and a bond may answer under the address of one of
its cards. So an address that is not the one a host answers with for itself may still be that host's.
"""

from __future__ import annotations


class HostMacs:
    """The MAC addresses of each host whose gate was heard. Threads may share it: a host's set is replaced whole."""

    def __init__(self) -> None:
        self._of_host: dict[str, frozenset[str]] = {}

    def learn(self, host: str, macs: frozenset[str]) -> None:
        """Take in what the gate of a host reports; a gate of version 1 reports none, which says nothing."""
        if macs:
            self._of_host[host] = macs

    def owner(self, mac: str) -> str | None:
        """Return the host that has a MAC address; None where none is known to, or where several are.

        Virtual bridges carry the same address on many hosts: such a one shows nothing.
        """
        hosts = [host for host, macs in list(self._of_host.items()) if mac in macs]
        return hosts[0] if len(hosts) == 1 else None

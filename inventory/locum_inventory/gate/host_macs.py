"""Map MAC addresses to hosts, from the interfaces that the gates report.

A host answers ARP for a service address on any of its interfaces, and a bond may answer with the address of one of
its cards. So a MAC address that differs from the one that a host uses for its own address may still belong to it.
"""

from __future__ import annotations


class HostMacs:
    """The MAC addresses of each host whose gate reported them. Thread-safe: a host's set is replaced as a whole."""

    def __init__(self) -> None:
        self._of_host: dict[str, frozenset[str]] = {}

    def learn(self, host: str, macs: frozenset[str]) -> None:
        """Store the addresses that a host's gate reports; a gate of version 1 reports none, which is ignored."""
        if macs:
            self._of_host[host] = macs

    def owner(self, mac: str) -> str | None:
        """Return the host that has a MAC address; None if no host or more than one is known to have it.

        Virtual bridges have the same address on many hosts: such an address identifies none of them.
        """
        hosts = [host for host, macs in list(self._of_host.items()) if mac in macs]
        return hosts[0] if len(hosts) == 1 else None

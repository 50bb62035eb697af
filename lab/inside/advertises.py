"""Announce once to all nodes that this host has an IPv6 address: an unsolicited neighbour advertisement.

RFC 4861, 7.2.6. Sent from a raw socket bound to the address, so that only a host that has it can announce it; the
kernel fills in the checksum.

Usage: advertises.py CARD IPV6_ADDRESS
"""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

ALL_NODES = "ff02::1"
ADVERTISEMENT, OVERRIDE, TARGET_MAC = 136, 0x20000000, 2
HOP_LIMIT = 255  # anything less was forwarded by a router, and is ignored


def main() -> None:
    """Send one advertisement."""
    card, address = sys.argv[1:3]
    mac = bytes.fromhex(Path("/sys/class/net", card, "address").read_text("ascii").replace(":", ""))
    message = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, OVERRIDE) + socket.inet_pton(socket.AF_INET6, address)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as wire:
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        wire.bind((address, 0))
        target = (ALL_NODES, 0, 0, socket.if_nametoindex(card))
        wire.sendto(message + struct.pack("!BB", TARGET_MAC, 1) + mac, target)


if __name__ == "__main__":
    main()

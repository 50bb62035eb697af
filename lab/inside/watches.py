"""Continuously ask on the wire which host has an address, and print the answers of each round.

A round is one request that changes no cache: an ARP probe (RFC 5227, 2.1.1: the sender's address is 0.0.0.0) or a
neighbour solicitation from an unused link-local address (RFC 4861, 4.3; from `::` it would disturb the duplicate
address detection of a host that is about to claim the address, RFC 4862, 5.4.3). Each round is sent from one of
sixteen MAC addresses in turn, and an answer goes back to that address, so that a late answer is never counted in a
later round. A line of JSON per round, when it is closed: when it was sent (time.time()) and the MACs that answered;
and one for each unsolicited announcement.

Usage: watches.py CARD ADDRESS PACE_SECONDS
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1
ASKERS = 16
OPEN_ROUNDS = 5  # a round is closed this many rounds later: an answer takes less than 100 ms
REQUEST, REPLY = 1, 2
ARP = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826
ICMPV6, SOLICITATION, ADVERTISEMENT = 58, 135, 136
SOURCE_MAC, TARGET_MAC = 1, 2  # options: RFC 4861, 4.6.1
HOP_LIMIT = 255
SOLICITED_NODE = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13]
EVERYBODY = (b"\xff" * 6, b"\x33\x33\0\0\0\x01")  # Ethernet's broadcast, and IPv6's all nodes


def asker(number: int) -> bytes:
    """Return the MAC address that a round is sent from."""
    return bytes((0x02, 0x00, 0x5E, 0x10, 0x01, number % ASKERS))


def probe(number: int, address: bytes) -> bytes:
    """Return a round's request frame."""
    mac = asker(number)
    if len(address) == 16:
        return solicitation(mac, address)
    frame = b"\xff" * 6 + mac + ETH_P_ARP.to_bytes(2, "big")
    return frame + ARP.pack(1, 0x0800, 6, 4, REQUEST, mac, bytes(4), bytes(6), address)


def solicitation(mac: bytes, address: bytes) -> bytes:
    """Return a neighbour solicitation, from a link-local address derived from the sender's MAC."""
    source = b"\xfe\x80" + bytes(8) + mac
    group = SOLICITED_NODE + address[13:]
    body = struct.pack("!I", 0) + address + bytes((SOURCE_MAC, 1)) + mac
    pseudo = source + group + struct.pack("!II", 4 + len(body), ICMPV6)
    checked = checksum(pseudo + bytes((SOLICITATION, 0, 0, 0)) + body)
    message = struct.pack("!BBH", SOLICITATION, 0, checked) + body
    header = struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, HOP_LIMIT) + source + group
    return b"\x33\x33" + group[12:] + mac + ETH_P_IPV6.to_bytes(2, "big") + header + message


def checksum(data: bytes) -> int:
    """Return the Internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def claimed(frame: bytes, address: bytes) -> bytes | None:
    """Return the MAC address that a frame gives for the address, or None."""
    kind = int.from_bytes(frame[12:14], "big")
    if len(address) == 16:
        # Hop limits and checksums are not checked: the lab has no routers between hosts and damages no frames.
        if kind != ETH_P_IPV6 or (frame[20:21], frame[54:55]) != (bytes((ICMPV6,)), bytes((ADVERTISEMENT,))):
            return None
        option = frame[80:86] if frame[78:80] == bytes((TARGET_MAC, 1)) and len(frame) >= 86 else frame[6:12]
        return option if frame[62:78] == address else None
    if kind != ETH_P_ARP or len(frame) < 14 + ARP.size:
        return None
    _, _, _, _, _, mac, sender, _, _ = ARP.unpack_from(frame, 14)
    return bytes(mac) if sender == address else None


def answer(frame: bytes, address: bytes) -> tuple[int, str] | None:
    """Return the sender that a frame answers and the answering MAC; None if it is not an answer to a round."""
    mac = claimed(frame, address)
    return (frame[5], mac.hex(":")) if mac is not None and frame[:5] == asker(0)[:5] else None


def announcement(frame: bytes, address: bytes) -> str | None:
    """Return the MAC that announces the address; None if the frame is not an announcement."""
    mac = claimed(frame, address)
    return mac.hex(":") if mac is not None and frame[:6] in EVERYBODY else None


def open_wire(card: str, kind: int) -> socket.socket:
    """Open a socket that receives all frames of a type on the card, for any destination (packet(7))."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
    wire.bind((card, kind))
    membership = struct.pack("iHH8s", socket.if_nametoindex(card), PACKET_MR_PROMISC, 0, b"")
    wire.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
    wire.setblocking(False)
    return wire


def hear(wire: socket.socket, address: bytes, heard: dict[int, set[str]], seconds: float) -> None:
    """Collect answers until the time is up, and print announcements at once."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and select.select([wire], [], [], left)[0]:
        with suppress(BlockingIOError):
            frame, sender = wire.recvfrom(2048)
            if sender[2] == socket.PACKET_OUTGOING:
                continue
            if found := answer(frame, address):
                heard.setdefault(found[0], set()).add(found[1])
            elif mac := announcement(frame, address):
                tell({"announced": time.time(), "mac": mac})


def tell(record: dict[str, object]) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run rounds for ever."""
    card, text, pace_seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    ipv6 = ":" in text
    address = socket.inet_pton(socket.AF_INET6 if ipv6 else socket.AF_INET, text)
    with suppress(OSError):
        os.nice(-10)
    wire = open_wire(card, ETH_P_IPV6 if ipv6 else ETH_P_ARP)
    heard: dict[int, set[str]] = {}  # by asker
    sent: dict[int, float] = {}  # by round
    number, due = 0, time.monotonic()
    while True:
        closed = number - OPEN_ROUNDS
        if closed in sent:
            tell({"sent": sent.pop(closed), "macs": sorted(heard.pop(closed % ASKERS, set()))})
        with suppress(OSError):  # the card is down: the round has no answers
            sent[number] = time.time()
            wire.send(probe(number, address))
        number += 1
        due = max(due + pace_seconds, time.monotonic())
        hear(wire, address, heard, due - time.monotonic())


if __name__ == "__main__":
    main()

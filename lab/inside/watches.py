"""Asks the wire all the time who has an address, and prints who answered in each round.

A round is one ARP probe (RFC 5227, 2.1.1: the sender's address is 0.0.0.0, so that it changes nobody's cache).
Each round is sent from one of sixteen MAC addresses in turn, and an answer goes back to the one that asked: a
late answer is never counted in a later round. A line of JSON per round, when it is closed: when it was sent
(time.time()) and the MACs that answered.

Usage: watches.py CARD IPV4_ADDRESS PACE_SECONDS
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

ETH_P_ARP = 0x0806
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1
ASKERS = 16
OPEN_ROUNDS = 5  # a round is closed this many rounds later: an answer takes no 100 ms
REQUEST, REPLY = 1, 2
ARP = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826


def asker(number: int) -> bytes:
    """Return the MAC address that asks in a round."""
    return bytes((0x02, 0x00, 0x5E, 0x10, 0x01, number % ASKERS))


def probe(number: int, address: bytes) -> bytes:
    """Return a round's question, as it goes on the wire."""
    mac = asker(number)
    frame = b"\xff" * 6 + mac + ETH_P_ARP.to_bytes(2, "big")
    return frame + ARP.pack(1, 0x0800, 6, 4, REQUEST, mac, bytes(4), bytes(6), address)


def answer(frame: bytes, address: bytes) -> tuple[int, str] | None:
    """Return which asker a frame answers and from which MAC; None if it is no answer to us."""
    if len(frame) < 14 + ARP.size or frame[12:14] != ETH_P_ARP.to_bytes(2, "big"):
        return None
    _, _, _, _, operation, mac, sender, target_mac, _ = ARP.unpack_from(frame, 14)
    if operation != REPLY or sender != address or target_mac[:5] != asker(0)[:5]:
        return None
    return target_mac[5], mac.hex(":")


def open_wire(card: str) -> socket.socket:
    """Open a socket that hears every ARP frame that reaches the card, whomever it is for (packet(7))."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
    wire.bind((card, ETH_P_ARP))
    membership = struct.pack("iHH8s", socket.if_nametoindex(card), PACKET_MR_PROMISC, 0, b"")
    wire.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
    wire.setblocking(False)
    return wire


def hear(wire: socket.socket, address: bytes, heard: dict[int, set[str]], seconds: float) -> None:
    """Collect answers until the time is up."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and select.select([wire], [], [], left)[0]:
        with suppress(BlockingIOError):
            found = answer(wire.recv(2048), address)
            if found:
                heard.setdefault(found[0], set()).add(found[1])


def main() -> None:
    """Watch for ever."""
    card, address, pace_seconds = sys.argv[1], socket.inet_aton(sys.argv[2]), float(sys.argv[3])
    with suppress(OSError):
        os.nice(-10)
    wire = open_wire(card)
    heard: dict[int, set[str]] = {}  # by asker
    sent: dict[int, float] = {}  # by round
    number, due = 0, time.monotonic()
    while True:
        closed = number - OPEN_ROUNDS
        if closed in sent:
            macs = sorted(heard.pop(closed % ASKERS, set()))
            sys.stdout.write(json.dumps({"sent": sent.pop(closed), "macs": macs}) + "\n")
            sys.stdout.flush()
        with suppress(OSError):  # a card that is down sends nothing: that round has no answers
            sent[number] = time.time()
            wire.send(probe(number, address))
        number += 1
        due = max(due + pace_seconds, time.monotonic())
        hear(wire, address, heard, due - time.monotonic())


if __name__ == "__main__":
    main()

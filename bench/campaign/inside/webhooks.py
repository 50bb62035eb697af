"""Listens on a host's loopback for webhooks, and prints each one that was answered: a line of JSON.

It sees what passes between Alertmanager and the actuator, and touches neither (packet(7)). One line per answer:
when (time.time()), the HTTP status, and of each alert what names it. Linux gives a socket on `lo` every packet
twice, going out and coming in: those going out are read. A segment that is sent once more, as to a program that was
stopped, is passed over; one that was missed ends what can be read of its connection, and counts as dropped.

Usage: webhooks.py PORT SECRETS (a file; they pass over TLS, and the actuator writes its secrets down)
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.campaign.inside.tls import Opened, UnreadableError
else:
    try:
        from tls import Opened, UnreadableError  # run as a program, next to it
    except ImportError:
        from bench.campaign.inside.tls import Opened, UnreadableError

ETH_P_ALL, IPPROTO_TCP = 3, 6
BUFFER_BYTES = 16 * 1024 * 1024
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33
FIN_OR_RST, SYN = 0x05, 0x02
SEQUENCES = 2**32
Flow = tuple[int, int]  # client's port, server's port


@dataclass(frozen=True, slots=True)
class Segment:
    """What is read of a TCP segment. `sequence` is the number of its first byte, modulo 2**32 (RFC 9293)."""

    source: int
    target: int
    flags: int
    sequence: int
    payload: bytes


def segment(packet: bytes) -> Segment | None:
    """Return the TCP segment that an IPv4 packet carries, None where it carries none."""
    head = (packet[0] & 15) * 4
    if packet[0] >> 4 != 4 or packet[9] != IPPROTO_TCP or len(packet) < head + 20:
        return None
    length = struct.unpack_from("!H", packet, 2)[0] or len(packet)
    source, target, sequence = struct.unpack_from("!HHI", packet, head)
    offset = (packet[head + 12] >> 4) * 4
    return Segment(source, target, packet[head + 13], sequence, packet[head + offset : length])


def message(data: bytes) -> tuple[str, bytes, bytes] | None:
    """Return first line, body and what follows of an HTTP message with a Content-Length; None if not all there."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
    return None if len(rest) < length else (first, rest[:length], rest[length:])


def alerts(body: bytes) -> list[dict[str, Any]]:
    """Return what names each alert of a webhook."""
    named = []
    for alert in json.loads(body).get("alerts", []):
        labels = alert.get("labels", {})
        named.append(
            {
                "name": labels.get("alertname"), "service": labels.get("service"), "host": labels.get("host"),
                "status": alert.get("status"), "starts_at": alert.get("startsAt"),
                "fingerprint": alert.get("fingerprint"),
            }
        )  # fmt: skip
    return named


class Conversations:
    """What was said on each connection to the port, both ways."""

    def __init__(self, port: int, opened: Opened | None = None) -> None:
        """`opened` reads what passes over TLS."""
        self._port = port
        self._opened = opened
        self._said: dict[tuple[int, str], bytes] = {}
        self._asked: dict[int, bytes] = {}  # webhooks that wait for their answer
        self._next: dict[tuple[int, str], int | None] = {}  # sequence number; None after one was missed
        self.missed = 0  # segments

    def hear(self, packet: bytes) -> list[dict[str, Any]]:
        """Take in a packet; return the webhooks whose answer it completed."""
        found = segment(packet)
        if found is None or self._port not in (found.source, found.target):
            return []
        client, way = (found.source, "to") if found.target == self._port else (found.target, "from")
        if found.flags & SYN:
            self._begin(client, way, found.sequence)
        payload = self._new(client, way, found)
        if self._opened is not None:
            try:
                payload = self._opened.read(client, way, payload)
            except UnreadableError:
                self._miss(client, way)
                return []
        self._said[client, way] = self._said.get((client, way), b"") + payload
        answered = self._complete(client, way)
        if found.flags & FIN_OR_RST:
            self._said.pop((client, way), None)
        return answered

    def _begin(self, client: int, way: str, sequence: int) -> None:
        self._said.pop((client, way), None)
        self._next[client, way] = (sequence + 1) % SEQUENCES  # the SYN has a number of its own
        if self._opened is not None and way == "to":
            self._opened.begin(client)

    def _new(self, client: int, way: str, found: Segment) -> bytes:
        """Return those bytes of a segment that were not seen before: none after one was missed."""
        due = self._next.setdefault((client, way), found.sequence)
        if due is None or not found.payload or found.flags & SYN:
            return b""
        behind = (due - found.sequence) % SEQUENCES
        if behind >= SEQUENCES // 2:
            self._miss(client, way)
            return b""
        new = found.payload[behind:]
        self._next[client, way] = (due + len(new)) % SEQUENCES
        return new

    def _miss(self, client: int, way: str) -> None:
        self.missed += 1
        self._next[client, way] = None

    def _complete(self, client: int, way: str) -> list[dict[str, Any]]:
        answered = []
        while (whole := message(self._said[client, way])) is not None:
            first, body, self._said[client, way] = whole
            if way == "to" and first.startswith("POST /webhook "):
                self._asked[client] = body
            elif way == "from" and client in self._asked and not first.startswith("HTTP/1.1 100"):
                status = int(first.split()[1])
                answered.append(
                    {"at": time.time(), "status": status, "alerts": alerts(self._asked.pop(client))}
                )
        return answered


def main() -> None:
    """Listen for ever."""
    # Only a socket for every protocol is shown what goes out.
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    wire.bind(("lo", ETH_P_ALL))
    conversations = Conversations(int(sys.argv[1]), Opened(Path(sys.argv[2])))
    sys.stdout.write(json.dumps({"listening": time.time()}) + "\n")
    sys.stdout.flush()
    while True:
        packet, origin = wire.recvfrom(1 << 17)
        if origin[2] != socket.PACKET_OUTGOING:
            continue
        for line in conversations.hear(packet):
            _, dropped = struct.unpack("II", wire.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
            missed, conversations.missed = conversations.missed, 0
            sys.stdout.write(json.dumps({**line, "dropped": max(dropped, missed)}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

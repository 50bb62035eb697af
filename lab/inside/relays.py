"""Pass every frame between two cards with a delay, because not every kernel has netem.

Frames are passed with the kernel's metadata (PACKET_VNET_HDR, packet(7)), such as a checksum that the card has yet
to fill in, or a segment longer than a frame. Without it they would be invalid for the receiver.

Usage: relays.py CARD CARD SECONDS
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
LONGEST_FRAME = 0x11000  # 64 KiB of segments plus headers
BUFFER_BYTES = 8 << 20
AT_ONCE = 256  # frames read from one card before it is the other card's turn


def open_card(card: str) -> socket.socket:
    """Open a socket that receives and sends frames on a card."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # receives nothing until it is bound
    wire.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    wire.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        wire.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    wire.setblocking(False)
    wire.bind((card, 0))
    return wire


class Line:
    """One direction between the cards, with the frames in transit in the order of arrival."""

    def __init__(self, come: socket.socket, go: socket.socket, seconds: float) -> None:
        self.come = come
        self._go = go
        self._seconds = seconds
        self._frames: deque[tuple[float, bytes]] = deque()

    def take(self) -> None:
        """Queue received frames."""
        with suppress(BlockingIOError, OSError):  # the card is down: its frames are lost
            for _ in range(AT_ONCE):
                frame = self.come.recv(LONGEST_FRAME)
                self._frames.append((time.monotonic() + self._seconds, frame))

    def give(self) -> float | None:
        """Send the frames that are due; return the seconds until the next one, or None."""
        while self._frames:
            left = self._frames[0][0] - time.monotonic()
            if left > 0:
                return left
            frame = self._frames.popleft()[1]
            with suppress(OSError):  # frames that cannot be sent are lost, as on a cable
                self._go.send(frame)
        return None


def main() -> None:
    """Wait for the start command, then relay for ever."""
    seconds = float(sys.argv[3])
    with suppress(OSError):
        os.nice(-10)
    one, other = open_card(sys.argv[1]), open_card(sys.argv[2])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if sys.stdin.readline() != "begin\n":
        return  # the process that started the relay has ended
    for wire, card in ((one, sys.argv[1]), (other, sys.argv[2])):
        wire.bind((card, ETH_P_ALL))
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    lines = {one: Line(one, other, seconds), other: Line(other, one, seconds)}
    while True:
        waits = [left for line in lines.values() if (left := line.give()) is not None]
        for wire in select.select(list(lines), [], [], min(waits, default=None))[0]:
            lines[wire].take()


if __name__ == "__main__":
    main()

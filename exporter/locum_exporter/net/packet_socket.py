"""A packet socket on one interface that receives ARP or neighbour advertisements (packet(7))."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator

from locum_exporter.net.arp_nd_frames import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV6,
    Claim,
    mac_text,
    read_claim,
)
from locum_exporter.net.os_errors import ExplainedError

_ARPHRD_ETHER = 1
_FRAME_BYTES = 2048
_SO_ATTACH_FILTER = 26

# Classic BPF (linux/filter.h): of all IPv6 traffic only neighbour advertisements reach the socket.
_ADVERTISEMENTS_ONLY = (
    (0x30, 0, 0, 20),  # load the next header
    (0x15, 0, 3, 58),  # ICMPv6?
    (0x30, 0, 0, 54),  # load the ICMPv6 type
    (0x15, 0, 1, 136),  # a neighbour advertisement?
    (0x06, 0, 0, 0xFFFF),  # accept
    (0x06, 0, 0, 0),  # drop
)


class PacketSocket:
    """Sends frames on an interface and receives the claims of addresses there.

    `ip_version` is 4 for ARP, 6 for neighbour discovery. Opening raises OSError: EPERM without CAP_NET_RAW,
    ENODEV if there is no such interface, EPFNOSUPPORT if it is not Ethernet.
    """

    def __init__(self, interface: str, ip_version: int) -> None:
        self.interface, self.ip_version = interface, ip_version
        # Opened with protocol 0, which receives nothing, and bound last, so that no unfiltered frames and none of
        # other interfaces arrive.
        self._inner = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            if ip_version == 6:
                _attach_filter(self._inner)
            ethertype = ETHERTYPE_ARP if ip_version == 4 else ETHERTYPE_IPV6
            self._inner.bind((interface, ethertype))
            self.mac = self.read_mac()
        except BaseException:
            self._inner.close()
            raise

    def read_mac(self) -> str:
        """Read the current MAC address of the interface and store it as `mac`.

        A bond takes the address of another card when it fails over, and an interface that was recreated under the
        same name has a new one: answers to the old address would not reach this socket. Raises OSError: ENODEV if
        the interface of this socket is gone or renamed, EPFNOSUPPORT if it is not Ethernet.
        """
        name, _, _, hardware_type, mac = self._inner.getsockname()
        if name != self.interface:
            raise OSError(errno.ENODEV, "no such device")
        if hardware_type != _ARPHRD_ETHER:
            raise ExplainedError(errno.EPFNOSUPPORT, f"{name} is not an Ethernet interface")
        self.mac = mac_text(mac)
        return self.mac

    def fileno(self) -> int:
        """Return the descriptor, for an event loop to wait on."""
        return self._inner.fileno()

    def send(self, frame: bytes) -> None:
        """Send one Ethernet frame."""
        self._inner.send(frame)

    def receive(self) -> Iterator[Claim]:
        """Yield the claims that have arrived."""
        while True:
            try:
                frame, sender = self._inner.recvfrom(_FRAME_BYTES)
            except BlockingIOError:
                return
            claim = None if sender[2] == socket.PACKET_OUTGOING else read_claim(frame)
            if claim is not None:
                yield claim

    def close(self) -> None:
        """Close the socket."""
        self._inner.close()


def _attach_filter(inner: socket.socket) -> None:
    """Attach the filter above: struct sock_fprog is a length and a pointer to the instructions."""
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _ADVERTISEMENTS_ONLY)
    instructions = ctypes.create_string_buffer(program, len(program))
    # Native alignment: the pointer follows the length at its own boundary.
    fprog = struct.pack("@HP", len(_ADVERTISEMENTS_ONLY), ctypes.addressof(instructions))
    inner.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)

"""Parse received ICMP messages into typed values."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

Family = Literal[4, 6]

# Types of RFC 792 and RFC 4443, by IP version.
ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
UNREACHABLE = {4: 3, 6: 1}
TIME_EXCEEDED = {4: 11, 6: 3}

# Codes of "unreachable" that mean an administrative prohibition rather than a network fault.
_PROHIBITED = {4: frozenset({9, 10, 13}), 6: frozenset({1, 5, 6})}

_PROTOCOL_ICMP = {4: 1, 6: 58}
_IPV4_HEADER_BYTES = 20  # at least
_IPV6_HEADER_BYTES = 40
_ECHO_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Message:
    """An echo reply, or an error about one of this program's echo requests.

    `target` is the pinged address, packed; None in a reply, whose sender the socket provides.
    `error` is None in a reply.
    """

    identifier: int
    sequence: int
    payload: bytes
    target: bytes | None = None
    error: Literal["unreachable", "prohibited", "time exceeded"] | None = None


def parse(family: Family, packet: bytes, *, with_ip_header: bool) -> Message | None:
    """Return the message about an echo request in a received packet, or None if there is none.

    A raw IPv4 socket delivers the IP header too; raw IPv6 and datagram sockets do not (ip(7), ipv6(7)).
    """
    icmp = packet[_ipv4_header_bytes(packet) :] if with_ip_header else packet
    if len(icmp) < _ECHO_HEADER_BYTES:
        return None
    kind, code = icmp[0], icmp[1]
    if kind == ECHO_REPLY[family]:
        identifier, sequence = struct.unpack_from("!HH", icmp, 4)
        return Message(identifier, sequence, icmp[_ECHO_HEADER_BYTES:])
    if kind == UNREACHABLE[family]:
        error = "prohibited" if code in _PROHIBITED[family] else "unreachable"
    elif kind == TIME_EXCEEDED[family]:
        error = "time exceeded"
    else:
        return None
    return _quoted_request(family, icmp[_ECHO_HEADER_BYTES:], error)


def _quoted_request(family: Family, quoted: bytes, error: str) -> Message | None:
    """Find the echo request quoted in an error message: an IP header and at least eight bytes."""
    if family == 4:
        header_bytes, protocol_at, target = _ipv4_header_bytes(quoted), 9, quoted[16:20]
    else:
        header_bytes, protocol_at, target = _IPV6_HEADER_BYTES, 6, quoted[24:40]
    echo = quoted[header_bytes:]
    if header_bytes < _IPV4_HEADER_BYTES or len(echo) < _ECHO_HEADER_BYTES:
        return None
    if quoted[protocol_at] != _PROTOCOL_ICMP[family] or echo[0] != ECHO_REQUEST[family]:
        return None
    identifier, sequence = struct.unpack_from("!HH", echo, 4)
    return Message(identifier, sequence, echo[_ECHO_HEADER_BYTES:], target, error)  # type: ignore[arg-type]


def _ipv4_header_bytes(packet: bytes) -> int:
    return (packet[0] & 0x0F) * 4 if packet else 0

"""Reading ICMP messages: bytes in, typed values or nothing out."""

import struct
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum_exporter.net.icmp_messages import Message, parse

A4, A6 = bytes([192, 0, 2, 7]), bytes.fromhex("20010db8000000000000000000000007")
ECHO4, ECHO6 = struct.pack("!BBHHH", 8, 0, 0, 5, 9), struct.pack("!BBHHH", 128, 0, 0, 5, 9)
REPLY4, REPLY6 = struct.pack("!BBHHH", 0, 0, 0, 5, 9), struct.pack("!BBHHH", 129, 0, 0, 5, 9)
HEADER4 = bytes([0x45, 0, 0, 84, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1]) + A4
LONG_HEADER4 = bytes([0x46]) + HEADER4[1:] + bytes(4)
HEADER6 = bytes([0x60, 0, 0, 0, 0, 8, 58, 64]) + bytes(16) + A6


def error(kind: int, code: int) -> bytes:
    return struct.pack("!BBHI", kind, code, 0, 0)


ROWS: dict[str, tuple[Literal[4, 6], bool, bytes, Message | None]] = {
    "IPv4 reply": (4, True, HEADER4 + REPLY4 + b"xy", Message(5, 9, b"xy")),
    "IPv4 reply behind IP options": (4, True, LONG_HEADER4 + REPLY4 + b"xy", Message(5, 9, b"xy")),
    "IPv4 reply on a datagram socket": (4, False, REPLY4 + b"xy", Message(5, 9, b"xy")),
    "IPv6 reply": (6, False, REPLY6 + b"xy", Message(5, 9, b"xy")),
    "IPv4 unreachable": (4, True, HEADER4 + error(3, 1) + HEADER4 + ECHO4, Message(5, 9, b"", A4, "unreachable")),
    "IPv4 unreachable, quoting IP options": (
        4, True, HEADER4 + error(3, 1) + LONG_HEADER4 + ECHO4, Message(5, 9, b"", A4, "unreachable"),
    ),
    "IPv4 prohibited": (4, True, HEADER4 + error(3, 10) + HEADER4 + ECHO4, Message(5, 9, b"", A4, "prohibited")),
    "IPv4 time exceeded": (
        4, True, HEADER4 + error(11, 0) + HEADER4 + ECHO4, Message(5, 9, b"", A4, "time exceeded"),
    ),
    "IPv6 unreachable": (6, False, error(1, 3) + HEADER6 + ECHO6, Message(5, 9, b"", A6, "unreachable")),
    "IPv6 prohibited": (6, False, error(1, 1) + HEADER6 + ECHO6, Message(5, 9, b"", A6, "prohibited")),
    "IPv6 time exceeded": (6, False, error(3, 0) + HEADER6 + ECHO6, Message(5, 9, b"", A6, "time exceeded")),
    "an echo request": (4, True, HEADER4 + ECHO4, None),
    "an error about a reply": (4, True, HEADER4 + error(3, 1) + HEADER4 + REPLY4, None),
    "an error about UDP": (4, True, HEADER4 + error(3, 3) + HEADER4[:9] + b"\x11" + HEADER4[10:] + ECHO4, None),
    "an error about nothing": (6, False, error(1, 3), None),
    "an error that quotes too little": (6, False, error(1, 3) + HEADER6 + ECHO6[:7], None),
    "a redirect": (4, True, HEADER4 + error(5, 1) + HEADER4 + ECHO4, None),
    "a header without a message": (4, True, HEADER4, None),
    "nothing": (4, True, b"", None),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_parse(row: str) -> None:
    family, with_ip_header, packet, message = ROWS[row]
    assert parse(family, packet, with_ip_header=with_ip_header) == message


@given(family=st.sampled_from([4, 6]), with_ip_header=st.booleans(), packet=st.binary(max_size=120))
def test_any_bytes_are_read_without_harm(family: Literal[4, 6], with_ip_header: bool, packet: bytes) -> None:
    parse(family, packet, with_ip_header=with_ip_header)


@given(kind=st.sampled_from([1, 3, 11]), quoted=st.binary(max_size=80))
def test_an_error_about_any_bytes_is_read_without_harm(kind: int, quoted: bytes) -> None:
    parse(4, error(kind, 0) + quoted, with_ip_header=False)
    parse(6, error(kind, 0) + quoted, with_ip_header=False)

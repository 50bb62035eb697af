"""Build and parse Ethernet frames of ARP and neighbour discovery; nothing is sent here.

Sources: RFC 826 and RFC 5227 (ARP), RFC 4861 (neighbour discovery), RFC 2464 (IPv6 over Ethernet). MAC
addresses are strings like `02:00:5e:10:00:01`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from locum_inventory.site.model import Address

ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD

_BROADCAST = b"\xff" * 6
_NO_MAC = bytes(6)
_UNSPECIFIED_V4 = bytes(4)
_REQUEST, _REPLY = 1, 2

_ALL_NODES = IPv6Address("ff02::1")
_SOLICITED_NODE_PREFIX = IPv6Address("ff02::1:ff00:0").packed[:13]
_NEXT_HEADER_ICMPV6 = 58
_SOLICITATION, _ADVERTISEMENT = 135, 136
_OPTION_SOURCE_MAC, _OPTION_TARGET_MAC = 1, 2
_FLAG_OVERRIDE = 0x20000000
_HOP_LIMIT = 255  # anything less was forwarded by a router and must be ignored: RFC 4861, 7.1


@dataclass(frozen=True, slots=True)
class Claim:
    """A received statement that an address is at a MAC address."""

    address: Address
    mac: str


def arp_probe(mac: str, address: IPv4Address) -> bytes:
    """Build an ARP probe, a request from the unspecified address: it changes no ARP cache (RFC 5227, 2.1)."""
    return _arp(_REQUEST, _raw(mac), _UNSPECIFIED_V4, _NO_MAC, address.packed)


def arp_request(mac: str, source: IPv4Address, address: IPv4Address) -> bytes:
    """Build an ordinary ARP request, as the kernel sends it (RFC 826)."""
    return _arp(_REQUEST, _raw(mac), source.packed, _NO_MAC, address.packed)


def gratuitous_arp(mac: str, address: IPv4Address, *, reply: bool = False) -> bytes:
    """Build the broadcast that announces the new location of an address (RFC 5227, 3).

    By default as a request; some old stacks accept only a reply, so an announcer sends both.
    """
    operation, target_mac = (_REPLY, _raw(mac)) if reply else (_REQUEST, _NO_MAC)
    return _arp(operation, _raw(mac), address.packed, target_mac, address.packed)


def neighbour_solicitation(mac: str, source: IPv6Address, address: IPv6Address) -> bytes:
    """Build a neighbour solicitation for an IPv6 address, to its solicited-node group (RFC 4861, 4.3).

    Never from `::`: that would be a probe of duplicate address detection, and a host that is about to claim the
    address would take it for another host's claim and give up (RFC 4862, 5.4.3).
    """
    group = IPv6Address(_SOLICITED_NODE_PREFIX + address.packed[13:])
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + address.packed
    message += struct.pack("!BB", _OPTION_SOURCE_MAC, 1) + _raw(mac)
    return _icmpv6(mac, source, group, message)


def link_local_of(mac: str) -> IPv6Address:
    """Return the link-local address that is derived from a MAC address (RFC 4291, appendix A)."""
    raw = _raw(mac)
    return IPv6Address(b"\xfe\x80" + bytes(6) + bytes((raw[0] ^ 2,)) + raw[1:3] + b"\xff\xfe" + raw[3:])


def unsolicited_na(mac: str, address: IPv6Address) -> bytes:
    """Build the advertisement that announces the new location of an address to all nodes (RFC 4861, 7.2.6)."""
    message = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _FLAG_OVERRIDE) + address.packed
    message += struct.pack("!BB", _OPTION_TARGET_MAC, 1) + _raw(mac)
    return _icmpv6(mac, address, _ALL_NODES, message)


def read_claim(frame: bytes) -> Claim | None:
    """Return the claim of an address in a received frame, or None if there is none.

    An ARP packet of either kind claims its sender's address (RFC 5227, 1.1), an advertisement its target.
    """
    if len(frame) < 14:
        return None
    ethertype = struct.unpack_from("!H", frame, 12)[0]
    if ethertype == ETHERTYPE_ARP:
        return _read_arp(frame[14:])
    return _read_advertisement(frame) if ethertype == ETHERTYPE_IPV6 else None


def mac_text(raw: bytes) -> str:
    """Return a MAC address as text."""
    return raw.hex(":")


def _raw(mac: str) -> bytes:
    raw = bytes.fromhex(mac.replace(":", ""))
    if len(raw) != 6:
        raise ValueError(f"'{mac}' is not a MAC address: it has six bytes, as in 02:00:5e:10:00:01")
    return raw


def _arp(operation: int, sender_mac: bytes, sender: bytes, target_mac: bytes, target: bytes) -> bytes:
    ethernet = _BROADCAST + sender_mac + struct.pack("!H", ETHERTYPE_ARP)
    header = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return ethernet + header + sender_mac + sender + target_mac + target


def _icmpv6(mac: str, source: IPv6Address, group: IPv6Address, message: bytes) -> bytes:
    """Add the headers to an ICMPv6 message to a multicast group."""
    checksum = _checksum(source.packed + group.packed + struct.pack("!II", len(message), 58) + message)
    message = message[:2] + struct.pack("!H", checksum) + message[4:]
    ipv6 = struct.pack("!IHBB", 6 << 28, len(message), _NEXT_HEADER_ICMPV6, _HOP_LIMIT)
    ethernet = b"\x33\x33" + group.packed[12:] + _raw(mac) + struct.pack("!H", ETHERTYPE_IPV6)
    return ethernet + ipv6 + source.packed + group.packed + message


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _read_arp(arp: bytes) -> Claim | None:
    if len(arp) < 28 or arp[:6] != struct.pack("!HHBB", 1, 0x0800, 6, 4):
        return None
    sender = arp[14:18]
    return None if sender == _UNSPECIFIED_V4 else Claim(IPv4Address(sender), mac_text(arp[8:14]))


def _read_advertisement(frame: bytes) -> Claim | None:
    ipv6, message = frame[14:54], frame[54:]
    if len(message) < 24 or ipv6[6] != _NEXT_HEADER_ICMPV6 or ipv6[7] != _HOP_LIMIT:
        return None
    if message[0] != _ADVERTISEMENT or message[1] != 0:
        return None
    message = message[: struct.unpack_from("!H", ipv6, 4)[0]]
    pseudo = ipv6[8:40] + struct.pack("!II", len(message), _NEXT_HEADER_ICMPV6)
    if _checksum(pseudo + message) != 0:
        return None
    mac = _option(message[24:], _OPTION_TARGET_MAC) or frame[6:12]
    return Claim(IPv6Address(message[8:24]), mac_text(mac))


def _option(options: bytes, wanted: int) -> bytes | None:
    """Return the MAC address in an option (RFC 4861, 4.6.1)."""
    while len(options) >= 8:
        kind, length = options[0], options[1] * 8
        if length == 0:
            return None
        if kind == wanted and length == 8:
            return options[2:8]
        options = options[length:]
    return None

"""ARP and neighbour discovery frames, byte by byte."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum_exporter.net.arp_nd_frames import (
    Claim,
    arp_probe,
    gratuitous_arp,
    link_local_of,
    neighbour_solicitation,
    read_claim,
    unsolicited_na,
)

MAC = "02:00:5e:10:00:01"
V4, V6 = IPv4Address("192.0.2.100"), IPv6Address("2001:db8::12:3456")

# The checksums were computed another way (the pseudo packet as one number modulo 65,535).
BUILT: dict[str, tuple[bytes, str]] = {
    "ARP probe": (
        arp_probe(MAC, V4),
        "ffffffffffff 02005e100001 0806 0001 0800 06 04 0001 02005e100001 00000000 000000000000 c0000264",
    ),
    "gratuitous ARP, request": (
        gratuitous_arp(MAC, V4),
        "ffffffffffff 02005e100001 0806 0001 0800 06 04 0001 02005e100001 c0000264 000000000000 c0000264",
    ),
    "gratuitous ARP, reply": (
        gratuitous_arp(MAC, V4, reply=True),
        "ffffffffffff 02005e100001 0806 0001 0800 06 04 0002 02005e100001 c0000264 02005e100001 c0000264",
    ),
    "solicitation": (
        neighbour_solicitation(MAC, IPv6Address("fe80::1"), V6),
        "3333ff123456 02005e100001 86dd 60000000 0020 3a ff fe800000000000000000000000000001"
        "ff0200000000000000000001ff123456 87 00 8482 00000000 20010db8000000000000000000123456 01 01 02005e100001",
    ),
    "unsolicited advertisement": (
        unsolicited_na(MAC, V6),
        "333300000001 02005e100001 86dd 60000000 0020 3a ff 20010db8000000000000000000123456"
        "ff020000000000000000000000000001 88 00 324c 20000000 20010db8000000000000000000123456 02 01 02005e100001",
    ),
}


@pytest.mark.parametrize("row", BUILT)
def test_built(row: str) -> None:
    frame, expected = BUILT[row]
    assert frame.hex() == expected.replace(" ", "")


def test_a_cards_own_link_local_address() -> None:
    """The example of RFC 4291, appendix A, with the universal bit turned."""
    assert link_local_of("34:56:78:9a:bc:de") == IPv6Address("fe80::3656:78ff:fe9a:bcde")


ARP_REPLY = bytes.fromhex(
    "02005e100001 02005e100002 0806 0001 0800 06 04 0002 02005e100002 c0000264 02005e100001 c0000201".replace(
        " ", ""
    )
)
NA = unsolicited_na(MAC, V6)


def patched(frame: bytes, at: int, new: str) -> bytes:
    raw = bytes.fromhex(new)
    return frame[:at] + raw + frame[at + len(raw) :]


READ: dict[str, tuple[bytes, Claim | None]] = {
    "ARP reply": (ARP_REPLY, Claim(V4, "02:00:5e:10:00:02")),
    "ARP reply, padded to 60 bytes": (ARP_REPLY + bytes(18), Claim(V4, "02:00:5e:10:00:02")),
    "gratuitous ARP": (gratuitous_arp(MAC, V4), Claim(V4, MAC)),
    "ARP probe of another": (arp_probe(MAC, V4), None),
    "ARP for something else than IPv4": (patched(ARP_REPLY, 16, "86dd"), None),
    "ARP cut short": (ARP_REPLY[:40], None),
    "advertisement": (NA, Claim(V6, MAC)),
    "advertisement, padded": (NA + bytes(6), Claim(V6, MAC)),
    "advertisement without its MAC option": (
        # Payload length 24, checksum made to fit: the Ethernet sender counts.
        patched(patched(NA[:78], 18, "0018"), 56, "9466"),
        Claim(V6, MAC),
    ),
    "advertisement with a wrong checksum": (patched(NA, 56, "0000"), None),
    "advertisement that a router forwarded": (patched(NA, 21, "fe"), None),
    "advertisement cut short": (NA[:70], None),
    "solicitation of another": (neighbour_solicitation(MAC, IPv6Address("fe80::1"), V6), None),
    "another protocol": (patched(NA, 20, "11"), None),
    "another ethertype": (patched(ARP_REPLY, 12, "0800"), None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize("row", READ)
def test_read(row: str) -> None:
    frame, claim = READ[row]
    assert read_claim(frame) == claim


@pytest.mark.parametrize("mac", ["", "02:00", "02:00:5e:10:00:01:02"])
def test_a_mac_address_has_six_bytes(mac: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address: it has six bytes, as in 02:00:5e:10:00:01"):
        gratuitous_arp(mac, V4)


@given(frame=st.binary(max_size=120), ethertype=st.sampled_from([b"\x08\x06", b"\x86\xdd"]))
def test_any_bytes_are_read_without_harm(frame: bytes, ethertype: bytes) -> None:
    read_claim(frame)
    read_claim(frame[:12] + ethertype + frame[12:])

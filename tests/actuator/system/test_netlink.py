"""Addresses on real interfaces, in a network namespace of the test's own; announcements as the wire hears them."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e  # needs root: a namespace of its own

PRELUDE = """
import socket, subprocess, sys, time
from ipaddress import ip_interface as address
from locum_actuator.system import announce as announcing, netlink
def ip(*words): return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
ip("link", "set", "lo", "up")
ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
for card in ("eth0", "peer0"): ip("link", "set", card, "up")
four, six = address("192.0.2.100/24"), address("2001:db8::100/64")
"""


def inside(program: str) -> str:
    """Run a program in a new network namespace with a pair of cards, eth0 and peer0; return what it printed."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", PRELUDE + program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_add_twice_held_remove_twice() -> None:
    assert inside(
        "for _ in range(2):\n"
        "    netlink.add('eth0', four); netlink.add('eth0', six)\n"
        "print(sorted(map(str, netlink.held([four, six]))))\n"
        "for _ in range(2):\n"
        "    netlink.remove(four); netlink.remove(six)\n"
        "print(sorted(map(str, netlink.held([four, six]))))\n"
    ).splitlines() == ["['192.0.2.100', '2001:db8::100']", "[]"]


def test_an_ipv6_address_is_usable_at_once() -> None:
    assert "tentative" not in inside(
        "netlink.add('eth0', six)\nprint(ip('-6', 'addr', 'show', 'eth0', 'to', '2001:db8::100'))"
    )


def test_addresses_are_values_not_text() -> None:
    assert (
        inside(
            "ip('addr', 'add', '110.0.0.1/24', 'dev', 'eth0')\n"
            "ip('addr', 'add', '2001:db8:0:0::1:0/64', 'dev', 'eth0', 'nodad')\n"
            "print(netlink.held([address('10.0.0.1/24')]), len(netlink.held([address('2001:db8::1:0/64')])))"
        )
        == "set() 1"
    )


def test_held_whatever_the_prefix_length() -> None:
    assert inside("ip('addr', 'add', '192.0.2.100/32', 'dev', 'lo')\nprint(len(netlink.held([four])))") == "1"


def test_removing_the_first_of_a_subnet_leaves_the_others() -> None:
    assert (
        inside(
            "open('/proc/sys/net/ipv4/conf/eth0/promote_secondaries', 'w').write('0')\n"
            "open('/proc/sys/net/ipv4/conf/all/promote_secondaries', 'w').write('0')\n"
            "netlink.add('eth0', four)\n"
            "ip('addr', 'add', '192.0.2.2/24', 'dev', 'eth0')\n"
            "netlink.remove(four)\n"
            "print('192.0.2.2/24' in ip('addr', 'show', 'eth0'))"
        )
        == "True"
    )


def test_no_such_interface_is_one_line() -> None:
    assert (
        inside("try: netlink.add('eth7', four)\nexcept netlink.AddressChangeError as fault: print(fault)")
        == "there is no interface eth7 on this host"
    )


def test_the_wire_hears_who_has_it_now_and_again() -> None:
    """A request and a reply form of gratuitous ARP, an advertisement for IPv6, and all of it more than once."""
    heard = inside(
        "wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); wire.bind(('peer0', 0))\n"
        "netlink.add('eth0', four); netlink.add('eth0', six)\n"
        "announcing.announce('eth0', [four.ip, six.ip])\n"
        "end, seen = time.monotonic() + 0.5, []\n"
        "wire.settimeout(0.1)\n"
        "while time.monotonic() < end:\n"
        "    try: frame = wire.recv(2048)\n"
        "    except TimeoutError: continue\n"
        "    if frame[12:14] == b'\\x08\\x06' and frame[28:32] == four.ip.packed == frame[38:42]:\n"
        "        seen.append({1: 'request', 2: 'reply'}[frame[21]])\n"
        "    if frame[12:14] == b'\\x86\\xdd' and frame[54] == 136 and frame[62:78] == six.ip.packed:\n"
        "        seen.append('advertisement')\n"
        "print(*sorted(set(seen)), min(seen.count(kind) for kind in set(seen)) >= 2)"
    )
    assert heard == "advertisement reply request True"


def test_what_is_not_held_any_more_is_not_announced_any_more() -> None:
    """After an undo the old holder announces itself: who went on would turn its clients away again."""
    assert (
        inside(
            "netlink.add('eth0', four)\n"
            "announcing.announce('eth0', [four.ip])\n"
            "netlink.remove(four)\n"
            "wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))\n"
            "wire.bind(('peer0', 0))\n"
            "wire.settimeout(0.5)\n"
            "try: print(wire.recv(2048)[28:32] == four.ip.packed)\n"
            "except TimeoutError: print('silence')"
        )
        == "silence"
    )

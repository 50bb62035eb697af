"""The boot guard against a real nftables, seen from another host on the wire; and the gate next to it."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from locum_inventory.enrolment import boot_guard
from locum_inventory.enrolment.boot_guard import guard_files, is_muted, unit_of
from tests.inventory.gate.gate_host import GateHost, install_gate
from tests.support import namespaces
from tests.support.marks import needs_root

pytestmark = pytest.mark.integration

SHELLS = ["dash", "busybox sh"]
HOST_FILE = """
service www
address 198.51.100.7/24
address 2001:db8::7/64
interface eth0
start true
stop true
service dns
address 198.51.100.8/24
interface eth0
standby running
"""
WWW, WWW6, DNS, OWN, OWN6 = "198.51.100.7", "2001:db8::7", "198.51.100.8", "198.51.100.1", "2001:db8::1"
EVERY = [WWW, WWW6, DNS, OWN, OWN6]
ECHO, ECHO_REPLY, ECHO6, ECHO6_REPLY = 8, 0, 128, 129  # RFC 792, RFC 4443


@pytest.fixture(scope="module")
def wire() -> Iterator[dict[str, str]]:
    """Two hosts on a wire: `here` is guarded, `there` listens. Each has addresses of its own."""
    with namespaces.network("here", "there") as names:
        for number, name in enumerate(names.values(), 1):
            namespaces.add_address(name, f"198.51.100.{number}/24")
            namespaces.add_address(name, f"2001:db8::{number}/64")
        yield names


def checksum(packet: bytes) -> int:
    """RFC 1071. For ICMPv6 the kernel does it (RFC 3542)."""
    total = sum(int.from_bytes(packet[at : at + 2]) for at in range(0, len(packet), 2))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF & ~(total + (total >> 16))


async def answering() -> list[str]:
    """Return which addresses of `EVERY` answer an echo request.

    Each is asked three times. A round ends when the own addresses of the host have answered, asked last, and a
    moment later: what a host that hears and may speak has to say is there by then, however busy this machine is. So
    no time has to pass for those that do not answer.
    """
    identifier, found = os.getpid() & 0xFFFF, set[str]()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as four,
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as six,
    ):
        for number in range(3):
            for address in EVERY:
                kind = ECHO6 if ":" in address else ECHO
                request = struct.pack("!BBHHH", kind, 0, 0, identifier, number)
                if kind == ECHO:
                    request = struct.pack("!BBHHH", kind, 0, checksum(request), identifier, number)
                (six if kind == ECHO6 else four).sendto(request, (address, 0))
            end, due = time.monotonic() + 5.0, {OWN, OWN6}
            while (left := end - time.monotonic()) > 0 and (
                ready := select.select([four, six], [], [], left)[0]
            ):
                for one in ready:
                    packet, (address, *_) = one.recvfrom(2048)
                    if one is four:
                        packet = packet[4 * (packet[0] & 0xF) :]
                    kind, _, _, *of = struct.unpack("!BBHHH", packet[:8])
                    if kind in {ECHO_REPLY, ECHO6_REPLY} and of == [identifier, number]:
                        found.add(address)
                        due.discard(address)
                if not due:
                    end = min(end, time.monotonic() + 0.02)
    return [address for address in EVERY if address in found]


@dataclass(frozen=True)
class Guarded:
    """A host with a gate and a guard."""

    gate: GateHost
    guard: Path
    names: dict[str, str]

    def run(self, *words: str) -> tuple[int, str]:
        """Run the guard; return how it ended and what it said."""
        done = subprocess.run(
            [*namespaces.inside(self.names["here"]), str(self.guard), *words],
            check=False, capture_output=True, text=True, timeout=15,
        )  # fmt: skip
        return done.returncode, (done.stdout + done.stderr).replace(str(self.gate.prefix), "")

    def rules(self) -> str:
        return self._here("nft", "list", "ruleset")

    def heard(self) -> list[str]:
        """Return the addresses of `here` that answer a ping of `there`, which knows no MAC address of it."""
        there = self.names["there"]
        namespaces.ip("-n", there, "neigh", "flush", "dev", "eth0")
        return namespaces.run_in(there, answering)

    def marks(self) -> list[str]:
        directory = self.gate.prefix / "run/locum-guard"
        return sorted(str(path.relative_to(directory)) for path in directory.glob("*/*"))

    def _here(self, *command: str) -> str:
        there = [*namespaces.inside(self.names["here"]), *command]
        return subprocess.run(there, check=True, capture_output=True, text=True, timeout=10).stdout


@pytest.fixture
def make_guarded(wire: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Guarded]]:
    """`here` has every service address, as after a boot whose configuration names them."""
    here = wire["here"]

    def make(shell: str = "dash") -> Guarded:
        gate = install_gate(tmp_path, HOST_FILE, (*namespaces.inside(here), *shell.split()))
        guard = tmp_path / "usr/local/sbin/locum-guard"
        guard.parent.mkdir(parents=True)
        text = guard_files()["guard"].replace("\nPREFIX= ", f"\nPREFIX={tmp_path} ", 1)
        guard.write_text(text.replace("#!/bin/sh", f"#!/usr/bin/env -S {shell}", 1))
        guard.chmod(0o755)
        for address in (f"{WWW}/24", f"{WWW6}/64", f"{DNS}/24"):
            namespaces.add_address(here, address)
        return Guarded(gate, guard, wire)

    yield make
    subprocess.run([*namespaces.inside(here), "nft", "flush", "ruleset"], check=True)
    for address in (f"{WWW}/24", f"{WWW6}/64", f"{DNS}/24"):
        subprocess.run(
            ["ip", "-n", here, "addr", "del", address, "dev", "eth0"], check=False, capture_output=True
        )


# What is done, one after the other, and what is heard of the host then.
HEARD = {
    "nothing": ([], EVERY),
    "a boot": (["boot"], [OWN, OWN6]),
    "a boot, and one lets speak": (["boot", "off www"], [WWW, WWW6, OWN, OWN6]),
    "a boot, and one lets another speak": (["boot", "off dns"], [DNS, OWN, OWN6]),
    "a boot, and all let speak": (["boot", "off"], EVERY),
    "let speak twice": (["boot", "off www", "off www"], [WWW, WWW6, OWN, OWN6]),
    "one guarded": (["on dns"], [WWW, WWW6, OWN, OWN6]),
    "one guarded twice, and let speak": (["on dns", "on dns", "off dns"], EVERY),
    "one after the other": (["on dns", "on www"], [OWN, OWN6]),
    "a boot after a release": (["on dns", "boot"], [OWN, OWN6]),
}


@needs_root
@pytest.mark.parametrize(("done", "heard"), HEARD.values(), ids=HEARD.keys())
def test_who_hears_the_host(make_guarded: Callable[..., Guarded], done: list[str], heard: list[str]) -> None:
    host = make_guarded()
    for words in done:
        assert host.run(*words.split()) == (0, "")
    assert host.heard() == heard


@needs_root
def test_e2_other_users_cannot_take_the_guards_lock(make_guarded: Callable[..., Guarded]) -> None:
    host = make_guarded()
    assert host.run("boot") == (0, "")
    lock = host.gate.prefix / "run/locum-guard/lock"
    assert (lock.stat().st_uid, lock.stat().st_mode & 0o077) == (0, 0)


@needs_root
@pytest.mark.parametrize("shell", SHELLS)
def test_what_it_says_is_on(make_guarded: Callable[..., Guarded], shell: str) -> None:
    host = make_guarded(shell)
    assert host.run("status") == (0, "www: off\ndns: off\n")
    assert host.run("boot") == (0, "")
    assert host.marks() == ["mute/dns", "mute/www", "stopped/www"]
    assert host.run("off", "www") == (0, "")
    assert host.run("status") == (0, "www: off\ndns: on\n")
    assert [host.run("is-on", name)[0] for name in ("www", "dns")] == [1, 0]
    assert host.run("off") == (0, "")
    assert (host.rules(), host.marks()) == ("", [])


@needs_root
def test_rules_that_somebody_else_flushed_are_not_on(make_guarded: Callable[..., Guarded]) -> None:
    host = make_guarded()
    host.run("boot")
    host._here("nft", "flush", "ruleset")
    assert host.run("status") == (0, "www: off\ndns: off\n")
    assert host.run("off", "www") == (0, "")
    assert host.run("status") == (0, "www: off\ndns: on\n")


@needs_root
def test_a_host_on_its_way_to_the_holder_is_heard(make_guarded: Callable[..., Guarded]) -> None:
    """Guarded and without the address it is a client like any other: of the host that has it now."""
    host = make_guarded()
    host.run("boot")
    here, there = host.names["here"], host.names["there"]
    for address in (f"{WWW}/24", f"{WWW6}/64"):
        namespaces.ip("-n", here, "addr", "del", address, "dev", "eth0")
        namespaces.add_address(there, address)
    try:
        for address in (WWW, WWW6):
            assert " 0% packet loss" in host._here("ping", "-nc1", "-W1", address)
    finally:
        for address in (f"{WWW}/24", f"{WWW6}/64"):
            namespaces.ip("-n", there, "addr", "del", address, "dev", "eth0")


NO_SUCH = "/etc/locum/gate.conf has no service '{}' with an address"
WRONG = {
    "a service that is not there": ("off no-such", 1, NO_SUCH.format("no-such")),
    "a name that is a path": ("on ../x", 1, NO_SUCH.format("../x")),
}


@needs_root
@pytest.mark.parametrize(("words", "code", "text"), WRONG.values(), ids=WRONG.keys())
def test_wrong_use(make_guarded: Callable[..., Guarded], words: str, code: int, text: str) -> None:
    assert make_guarded().run(*words.split()) == (code, f"locum-guard: {text}\n")


@needs_root
def test_nothing_but_addresses_reaches_nft(make_guarded: Callable[..., Guarded]) -> None:
    host = make_guarded()
    host.gate.write_host_file("service www\naddress 198.51.100.7};flush/24\n")
    assert host.run("boot") == (
        1,
        "locum-guard: /etc/locum/gate.conf: '198.51.100.7};flush' is not an address\n",
    )
    assert host.rules() == ""


# The verb, what the gate says then of www, and what is heard of the host.
AFTER_BOOT = {
    "status": (["status", "www"], ["guard on", f"address {WWW} muted", f"address {WWW6} muted"], [OWN, OWN6]),
    "claim": (
        ["claim", "www", "1"],
        ["guard off", f"address {WWW} held", f"address {WWW6} held"],
        [WWW, WWW6, OWN, OWN6],
    ),
    "start": (
        ["start", "www", "1"],
        ["guard on", f"address {WWW} muted", f"address {WWW6} muted"],
        [OWN, OWN6],
    ),
    "release": (
        ["release", "www", "1"],
        ["guard on", f"address {WWW} absent", f"address {WWW6} absent"],
        [OWN, OWN6],
    ),
}


@needs_root
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("words", "said", "heard"), AFTER_BOOT.values(), ids=AFTER_BOOT.keys())
def test_the_gate_after_a_boot(
    make_guarded: Callable[..., Guarded], shell: str, words: list[str], said: list[str], heard: list[str]
) -> None:
    host = make_guarded(shell)
    host.run("boot")
    answer = host.gate.run(*words)
    assert [line for line in answer if line.startswith(("guard", "address"))] == said
    assert answer[-1] == "end ok"
    assert host.heard() == heard
    assert ("stopped/www" in host.marks()) == (words[0] in {"status", "release"})


@needs_root
def test_from_a_release_to_the_next_claim_nobody_hears_the_host(make_guarded: Callable[..., Guarded]) -> None:
    """A program that puts the address on the card meanwhile, such as a network manager."""
    host = make_guarded()
    assert host.gate.run("release", "www", "1")[-1] == "end ok"
    for address in (f"{WWW}/24", f"{WWW6}/64"):
        namespaces.add_address(host.names["here"], address)
    assert host.heard() == [DNS, OWN, OWN6]
    assert host.gate.run("claim", "www", "2")[-1] == "end ok"
    assert host.heard() == EVERY


@needs_root
def test_a_claim_does_not_succeed_while_nobody_hears_the_host(make_guarded: Callable[..., Guarded]) -> None:
    host = make_guarded()
    host.run("boot")
    host.guard.write_text("#!/bin/sh\n[ $1 = is-on ] || { echo no luck; exit 1; }\n")
    answer = host.gate.run("claim", "www", "1")
    assert answer[-1] == "end failed www: no luck"
    assert host.heard() == [OWN, OWN6]


def test_whether_this_machine_is_muted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_guard, "MUTE_DIRECTORY", tmp_path)
    (tmp_path / "www").touch()
    assert (is_muted("www"), is_muted("dns")) == (True, False)


UNITS = {
    "a unit": ("systemctl start apache2", "apache2.service"),
    "a unit's full name": ("systemctl start nginx.service", "nginx.service"),
    "a target": (" systemctl start mail.target ", "mail.target"),
    "a restart, and a path": ("/usr/bin/systemctl --quiet restart unbound", "unbound.service"),
    "an instance": ("systemctl start postgresql@15-main", "postgresql@15-main.service"),
    "another program": ("apachectl start", None),
    "more than a unit": ("systemctl start apache2 && touch /x", None),
    "two units": ("systemctl start apache2 php-fpm", None),
    "another verb": ("systemctl reload apache2", None),
}


@pytest.mark.parametrize(("command", "unit"), UNITS.values(), ids=UNITS.keys())
def test_the_unit_that_a_command_starts(command: str, unit: str | None) -> None:
    assert unit_of(command) == unit

"""IPv6 addresses that stand on a card unused, by netlink's and the gate's word; real cards on a wire of their own.

Another host has the address, and the kernel's duplicate address detection (RFC 4862, 5.4) says so.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from locum_exporter.net.packet_socket import PacketSocket
from tests.inventory.gate.gate_host import GateHost, install_gate
from tests.support import namespaces
from tests.support.marks import needs_root
from tests.support.polling import wait_for

pytestmark = [needs_root, pytest.mark.integration]

SERVICE = "2001:db8::100"
HOST_FILE = f"service www\naddress {SERVICE}/64\ninterface eth0\nstandby running\n"
PRELUDE = f"""
from ipaddress import ip_interface
from locum_actuator.system import netlink
address = ip_interface("{SERVICE}/64")
"""


@pytest.fixture(scope="module")
def wire() -> Iterator[dict[str, str]]:
    """Two hosts on a wire: `here`, and `there`, which may have the address too."""
    with namespaces.network("here", "there") as names:
        for name in names.values():
            # One question, asked at once and waited for shortly (the kernel's ip-sysctl).
            set_kernel(name, "conf/eth0/router_solicitation_delay", "0")
            set_kernel(name, "neigh/eth0/retrans_time_ms", "100")
        namespaces.add_address(names["here"], "2001:db8::1/64")
        namespaces.add_address(names["there"], "2001:db8::2/64")
        yield names


@pytest.fixture
def here(wire: dict[str, str]) -> Iterator[str]:
    yield wire["here"]
    for name in wire.values():
        subprocess.run(
            ["ip", "-n", name, "addr", "del", f"{SERVICE}/64", "dev", "eth0"],
            check=False,
            capture_output=True,
        )


@pytest.fixture
def dadfailed(here: str, wire: dict[str, str]) -> str:
    """The address was added here as a boot does, and there is one there who has it."""
    namespaces.add_address(wire["there"], f"{SERVICE}/64")
    subprocess.run(["ip", "-n", here, "addr", "add", f"{SERVICE}/64", "dev", "eth0"], check=True)
    wait_for(lambda: "dadfailed" in shown(here), "the kernel has found the other one")
    return here


@pytest.fixture
def make_gate(here: str, tmp_path: Path) -> Callable[[str], GateHost]:
    def make(shell: str = "dash") -> GateHost:
        return install_gate(tmp_path, HOST_FILE, ("ip", "netns", "exec", here, *shell.split()))

    return make


def set_kernel(name: str, key: str, value: str) -> None:
    script = f"echo {value} >/proc/sys/net/ipv6/{key}"
    subprocess.run(["ip", "netns", "exec", name, "sh", "-c", script], check=True)


def shown(name: str) -> str:
    """What the kernel says of the address."""
    return subprocess.run(
        ["ip", "-n", name, "-o", "addr", "show", "to", SERVICE], check=True, capture_output=True, text=True
    ).stdout


def python(name: str, program: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", name, sys.executable, "-c", PRELUDE + program],
        check=False, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_netlink_tells_what_is_there_and_not_in_use_and_claims_it_anew(dadfailed: str) -> None:
    said = python(
        dadfailed,
        "print(netlink.held([address]), *netlink.unusable([address]).values())\n"
        "netlink.add('eth0', address)\n"
        "print(*netlink.held([address]), netlink.unusable([address]))",
    )
    assert said.splitlines() == ["set() dadfailed", f"{SERVICE} {{}}"]


def test_netlink_takes_it_off(dadfailed: str) -> None:
    python(dadfailed, "netlink.remove(address)")
    assert shown(dadfailed) == ""


@pytest.mark.parametrize("shell", ["dash", "busybox sh"])
def test_the_gate_tells_what_is_there_and_not_in_use(
    dadfailed: str, make_gate: Callable[[str], GateHost], shell: str
) -> None:
    answer = make_gate(shell).run("status")
    assert answer[answer.index("service www") :][:3] == [
        "service www", "epoch 0", f"address {SERVICE} dadfailed",
    ]  # fmt: skip


def test_the_gate_tells_of_a_detection_under_way(here: str, make_gate: Callable[[str], GateHost]) -> None:
    set_kernel(here, "conf/eth0/dad_transmits", "6000")  # ten minutes: a busy machine takes its time to ask
    try:
        subprocess.run(["ip", "-n", here, "addr", "add", f"{SERVICE}/64", "dev", "eth0"], check=True)
        assert f"address {SERVICE} tentative" in make_gate("dash").run("status")
        assert python(here, "print(netlink.held([address]), *netlink.unusable([address]).values())") == (
            "set() tentative"
        )
    finally:
        set_kernel(here, "conf/eth0/dad_transmits", "1")


@pytest.mark.parametrize("shell", ["dash", "busybox sh"])
def test_the_gate_claims_it_anew(dadfailed: str, make_gate: Callable[[str], GateHost], shell: str) -> None:
    assert make_gate(shell).run("claim", "www", "1")[-2:] == [f"address {SERVICE} held", "end ok"]
    assert "dadfailed" not in shown(dadfailed)
    assert "tentative" not in shown(dadfailed)


def test_the_gate_takes_it_off(dadfailed: str, make_gate: Callable[[str], GateHost]) -> None:
    assert make_gate("dash").run("release", "www", "1")[-2:] == [f"address {SERVICE} absent", "end ok"]
    assert shown(dadfailed) == ""


@pytest.mark.parametrize("claim", ["netlink", "gate"])
def test_what_the_host_begins_does_not_come_from_the_service_address(
    here: str, make_gate: Callable[[str], GateHost], claim: str
) -> None:
    """Of two addresses the kernel takes the newer one: its connections would die with the next takeover."""
    before = source_of(here)
    if claim == "gate":
        assert make_gate("dash").run("claim", "www", "1")[-1] == "end ok"
    else:
        python(here, "netlink.add('eth0', address)")
    assert (before, source_of(here)) == ("2001:db8::1", "2001:db8::1")


def source_of(name: str) -> str:
    words = subprocess.run(
        ["ip", "-n", name, "route", "get", "2001:db8::2"], check=True, capture_output=True, text=True
    ).stdout.split()
    return words[words.index("src") + 1]


def test_a_claim_over_the_gate_is_announced_to_all_nodes(
    wire: dict[str, str], make_gate: Callable[[str], GateHost]
) -> None:
    """Five times in a second, without any program that Debian would have to install first."""
    gate, heard = make_gate("dash"), list[tuple[str, str]]()

    async def listen() -> None:
        hearing = PacketSocket("eth0", 6)
        assert (await asyncio.to_thread(gate.run, "claim", "www", "1"))[-1] == "end ok"
        deadline = asyncio.get_running_loop().time() + 5
        while len(heard) < 5 and asyncio.get_running_loop().time() < deadline:
            heard.extend((str(claim.address), claim.mac) for claim in hearing.receive())
            await asyncio.sleep(0.02)
        hearing.close()

    namespaces.run_in(wire["there"], listen)
    assert len(heard) >= 5  # the kernel may say it once more
    assert set(heard) == {(SERVICE, namespaces.mac_of(wire["here"]))}

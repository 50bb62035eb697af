"""Network namespaces for tests: made, entered by a thread, and removed again."""

import asyncio
import ctypes
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.support.polling import wait_for

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


@contextmanager
def namespace(label: str) -> Iterator[str]:
    """A network namespace of a name of its own, with its loopback interface up."""
    name = f"lt{os.getpid()}{label}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


def inside(name: str) -> tuple[str, ...]:
    """What to put before a command to run it in a namespace.

    `ip netns exec` mounts /sys again each time, in a mount namespace of its own; the command needs neither.
    """
    return ("nsenter", f"--net=/run/netns/{name}")


@contextmanager
def network(*labels: str) -> Iterator[dict[str, str]]:
    """Namespaces on one wire: `eth0` in each, the switch in a namespace of its own; returns names by label."""
    with namespace("wire") as wire:
        ip("-n", wire, "link", "add", "br0", "type", "bridge")
        ip("-n", wire, "link", "set", "br0", "up")
        names: dict[str, str] = {}
        try:
            for label in labels:
                names[label] = f"lt{os.getpid()}{label}"
                ip("netns", "add", names[label])
                plug(wire, names[label], "eth0", port=f"p{label}")
            yield names
        finally:
            for name in names.values():
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=10)


def plug(wire: str, name: str, interface: str, *, port: str) -> None:
    """Give a namespace a card on the wire."""
    veth = ("type", "veth", "peer", "name", interface, "netns", name)
    ip("-n", wire, "link", "add", port, *veth)
    ip("-n", wire, "link", "set", port, "master", "br0", "up")
    ip("-n", name, "link", "set", interface, "up")
    _wait_until_said("state forwarding", "bridge", "-n", wire, "link", "show", "dev", port)
    _wait_until_said("state UP", "ip", "-n", name, "link", "show", interface)


def _wait_until_said(text: str, *command: str) -> None:
    """Wait until a command says something: a new link takes the kernel up to a second to notice."""

    def said() -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout

    wait_for(lambda: text in said(), f"`{' '.join(command)}` says '{text}'", 5)


def add_address(name: str, address: str, interface: str = "eth0") -> None:
    ip("-n", name, "addr", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))


def mac_of(name: str, interface: str = "eth0") -> str:
    show = ["ip", "-n", name, "-o", "link", "show", interface]
    words = subprocess.run(show, check=True, capture_output=True, text=True, timeout=10).stdout.split()
    return words[words.index("link/ether") + 1]


def run_in(name: str, work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine in a thread that is in a namespace."""

    def enter_and_run() -> T:
        with Path(f"/run/netns/{name}").open() as file:
            if _LIBC.setns(file.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

        async def main() -> T:
            return await work()

        return asyncio.run(main())

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter_and_run).result(timeout=30)

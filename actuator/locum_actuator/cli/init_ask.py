"""The questions of `locum init`, and what this machine can tell by itself."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import click

from locum_actuator.cli.printing import prompt, say
from locum_inventory.site_words import RISKS

_ROUTES = Path("/proc/net/route")


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """The way out of this machine's network."""

    interface: str
    gateway: str


def ask(given: str | None, option: str, question: str, default: str | None = None) -> str:
    """Return what an option gave, or else ask, where `-` means nothing.

    Where nobody is there to answer the default counts; without one that is wrong use.
    """
    if given is not None:
        return given
    try:
        answer = prompt(question, default)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        say(err=True)
        if default is None:
            raise click.UsageError(f"nobody is there to answer: give {option}") from None
        return default
    return "" if answer == "-" else answer


def ask_when_unreachable() -> str:
    """Ask for the one choice that has no default."""
    say("When a host does not answer at all, locum cannot know whether it is dead or cut off:", err=True)
    for line in RISKS.split("; "):
        say(f"  {line}", err=True)
    while True:
        answer = ask(None, "--when-unreachable", "What is to be done then, takeover or refuse")
        if answer in {"takeover", "refuse"}:
            return answer
        say("answer takeover or refuse", err=True)


def named_addresses(given: tuple[str, ...]) -> dict[str, str]:
    """Return the hosts, name and address, from the options or by asking for two."""
    pairs = list(given)
    if not pairs:
        pairs.append(ask(None, "--host", "Preferred host, as NAME=ADDRESS"))
        pairs.append(ask(None, "--host", "Host that stands in, as NAME=ADDRESS"))
    hosts: dict[str, str] = {}
    for pair in pairs:
        name, equals, address = pair.partition("=")
        if not equals or not name or not address:
            raise click.UsageError(f"'{pair}' does not say which address a host has: write NAME=ADDRESS")
        if name in hosts:
            raise click.UsageError(f"host '{name}' is given twice")
        hosts[name] = address
    return hosts


def default_route() -> DefaultRoute | None:
    """Read the IPv4 default route from the kernel (proc(5), /proc/net/route: hexadecimal, host byte order)."""
    try:
        rows = [line.split() for line in _ROUTES.read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return None
    for row in rows:
        if len(row) > 2 and row[1] == "00000000" and row[2] != "00000000":
            gateway = int(row[2], 16).to_bytes(4, sys.byteorder)
            return DefaultRoute(row[0], str(IPv4Address(gateway)))
    return None

"""Check every 20 ms in each host whether it has a service address on a card, independent of the wire and locum."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path

from lab.lab import Lab

PACE_SECONDS = 0.02
NICE = -15  # it costs little, and must run on time even on a fully loaded machine
GAP_SECONDS = 0.1  # a longer time between two observations is a gap


@dataclass(frozen=True, slots=True)
class Look:
    """One observation of all running hosts, for one address."""

    at: float  # time.time()
    holders: frozenset[str]


class Cards:
    """Observes until it is closed."""

    def __init__(self, lab: Lab, others: Sequence[IPv4Address] = ()) -> None:
        self._lab = lab
        self._looks: dict[IPv4Address, list[Look]] = {
            address: [] for address in (lab.service_address.ip, *others)
        }
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cards", daemon=True)
        self._thread.start()

    def looks(self, since: float = 0.0) -> list[Look]:
        """Return the looks for the lab's own service address made at `since` or later."""
        return _since(self._looks[self._lab.service_address.ip], since)

    def other_looks(self, since: float = 0.0) -> list[list[Look]]:
        """Return the same for each of the others."""
        return [
            _since(looks, since)
            for address, looks in self._looks.items()
            if address != self._lab.service_address.ip
        ]

    def close(self) -> None:
        """Stop observing."""
        self._ended.set()
        self._thread.join(5)

    def _watch(self) -> None:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)  # of this thread alone (nptl(7))
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + PACE_SECONDS, time.monotonic())
            pids = {name: host.pid for name, host in self._lab.hosts.items()}
            tables = {name: _table(pid) for name, pid in pids.items() if pid is not None}
            at = time.time()
            for wanted, looks in self._looks.items():
                holders = [name for name, table in tables.items() if _has(table, wanted)]
                looks.append(Look(at, frozenset(holders)))


def _since(looks: Sequence[Look], since: float) -> list[Look]:
    return [look for look in list(looks) if look.at >= since]


def _table(pid: int) -> str:
    """Return the kernel's table of addresses in the namespace of process `pid`; empty if its host has no power."""
    try:
        return Path(f"/proc/{pid}/net/fib_trie").read_text(encoding="ascii")
    except (OSError, ProcessLookupError):
        return ""


def _has(table: str, address: IPv4Address) -> bool:
    """Whether an address is local there.

    The table has a leaf `|-- ADDRESS`, and below it its routes, `/32 host LOCAL` for an address of a card.
    """
    return f"|-- {address}\n" in table and any(
        line.strip() == f"|-- {address}" and "host LOCAL" in following
        for line, following in pairwise(table.splitlines())
    )


def gaps(looks: Sequence[Look]) -> list[float]:
    """Return the length of each gap in seconds."""
    return [later.at - one.at for one, later in pairwise(looks) if later.at - one.at > GAP_SECONDS]


def changes(looks: Sequence[Look]) -> list[Look]:
    """Return the first observation and those in which the result changed."""
    found: list[Look] = []
    for look in looks:
        if not found or found[-1].holders != look.holders:
            found.append(look)
    return found

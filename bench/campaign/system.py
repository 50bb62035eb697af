"""What the campaign can be run against: something that keeps the service up on the hosts of a lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Protocol

from lab.host import Host


@dataclass(frozen=True, slots=True)
class Account:
    """What a system says of itself at the end. The observer's own record is elsewhere."""

    webhooks: Sequence[dict[str, Any]]  # answered, as seen on the wire
    unheard_packets: int  # that the listener on the wire was too slow for
    alerts: Sequence[dict[str, Any]]  # in the journal
    unfinished: Sequence[str]  # what the journal has no end of, in words


class System(Protocol):
    """locum, or one of its peers."""

    name: str
    other_addresses: Sequence[IPv4Address]  # of services besides www; known once it has been started

    def start(self, kinds: frozenset[str]) -> None:
        """Bring it up on every host, ready for these kinds of fault; return when it runs."""

    def revive(self, host: str) -> None:
        """Start what starts at boot on a host that has got its power back; does not wait for it."""

    def tend(self) -> None:
        """Restart programs that have ended, as an init system would."""

    def pids(self, part: str) -> Sequence[int]:
        """Return the processes of one part, by the machine's numbering."""

    def kill_all(self) -> None:
        """End everything of it on one host, as `kill -9` of its supervisor would."""

    def start_all(self) -> None:
        """Start that again."""

    def bring(self, how: str, detail: Mapping[str, Any]) -> str | None:
        """Bring a fault of its surroundings; return in words why it did not take hold, None where it did."""

    def heal(self, how: str) -> str | None:
        """Take it away again."""

    def restore_service(self, host: str) -> None:
        """Start the killed service if only an administrator would do so."""

    def refusal(self) -> str | None:
        """Return why it leaves the service as it is, in words, if it says so now."""

    def account(self) -> Account:
        """End it, and return what it says of itself."""

    def keep(self, directory: Path) -> None:
        """Copy its logs into a directory, for people."""


def processes_of(host: Host, *words: bytes) -> list[int]:
    """Return the processes of a host whose command line has all these words in it."""
    found = []
    for pid, _, state in host.processes():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if state not in "ZX" and all(word in line for word in words):
            found.append(pid)
    return found

"""The client side of the gate: typed calls to a host's gate, over SSH or on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, Protocol

Verb = Literal["respawn", "start", "stop", "release", "claim"]
FaultReason = Literal[
    "unreachable", "refused", "timeout", "auth", "host_key_unknown", "host_key_changed", "closed",
    "old_epoch",  # the gate has seen a higher epoch: somebody else has changed the holder since
    "failed",  # the gate did what was asked, looked, and it was not so
    "gate",  # the gate is missing, or does not know the verb or the service
]  # fmt: skip


class ShellFault(Exception):  # noqa: N818 - what went wrong between us and a gate
    """A gate could not be asked, or said no."""

    def __init__(self, reason: FaultReason, text: str) -> None:
        super().__init__(text)
        self.reason: FaultReason = reason


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What a gate says of one service on its host."""

    epoch: int  # the highest epoch this gate has seen for the service; 0 where none
    held: Mapping[IPv4Address | IPv6Address, bool]  # per service address: is it on this host's interface
    processes: int | None  # how many live (not zombie) processes; None where the service names none


@dataclass(frozen=True, slots=True)
class GateStatus:
    """What a gate says of its host."""

    version: str
    config_sha256: str
    services: Mapping[str, ServiceStatus]


class Shell(Protocol):
    """The gate of one host. Every call ends within its deadline, or raises `ShellFault`; threads may share it."""

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Ask what is held and what runs."""

    def change(self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float) -> ServiceStatus:
        """Carry out one verb and return how things are afterwards."""

    def look(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Count the live processes of every service of that host that names one, over the kept `watch`."""

    def close(self) -> None:
        """Give up the connection."""

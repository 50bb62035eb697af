"""The types of a gate's requests and answers, the same over SSH and on this machine (docs/gate.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, Protocol

from locum_inventory.errors import LocumError
from locum_inventory.gate.clock import GateClock, Permit
from locum_inventory.site.model import InterfaceAddress

Verb = Literal["respawn", "start", "stop", "release", "claim", "reset-epoch", "store-epoch"]
LinkState = Literal["up", "no_carrier", "down"]
FaultReason = Literal[
    "unreachable", "refused", "timeout", "auth", "host_key_unknown", "host_key_changed", "closed",
    "too_late",  # the evidence for a verb was too old, or the host has rebooted: nothing was done
    "old_epoch",  # the gate has seen a higher epoch: the holder was changed by another call since
    "failed",  # the gate carried out the verb, but the result was not reached
    "busy",  # this program had no thread, descriptor or connection left for the call
    "gate",  # the gate is missing, or does not know the verb or the service
]  # fmt: skip


class GateError(LocumError):
    """A gate could not be called, did not answer, or refused.

    `asked` is False if the cause is on this machine and the gate was not called: no evidence about the host.
    """

    def __init__(self, reason: FaultReason, text: str, *, asked: bool = True) -> None:
        super().__init__(text)
        self.reason: FaultReason = reason
        self.asked = asked

    @classmethod
    def busy(cls, text: str) -> GateError:
        """Return the error of a call for which this program had no resources."""
        return cls("busy", text, asked=False)

    def again(self) -> GateError:
        """Return a copy, because one exception raised in several threads would mix their tracebacks."""
        return GateError(self.reason, str(self), asked=self.asked)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The state of one service on a gate's host."""

    epoch: int  # the highest epoch this gate has seen for the service; 0 if none
    held: Mapping[
        IPv4Address | IPv6Address, bool
    ]  # per service address: whether it is on this host's interface
    processes: int | None  # number of live (not zombie) processes; None if the service names none
    # Addresses that are configured but not in use, with the kernel's word for it (tentative or dadfailed), or muted
    # if the host's boot guard is on.
    unusable_addresses: Mapping[IPv4Address | IPv6Address, str] = field(default_factory=dict)
    guarded: bool | None = None  # whether its boot guard is on; None if the host has none
    # The addresses of the host file with their prefix lengths, and their interface; a gate of version 1 does not
    # report them.
    addresses: tuple[InterfaceAddress, ...] | None = None
    interface: str | None = None
    age_seconds: float | None = None  # since its oldest process was started; None if there is none
    underway: str | None = None  # the verb that is running for it now: start, respawn or claim
    epoch_damaged: bool = False  # the gate's epoch file cannot be read: it refuses every verb but a release


@dataclass(frozen=True, slots=True)
class Link:
    """One interface of a host, as its gate reports it."""

    state: LinkState
    macs: tuple[str, ...] = ()  # the current one first, then the card's permanent address


@dataclass(frozen=True, slots=True)
class GateStatus:
    """The status that a gate reports of its host."""

    version: str
    config_sha256: str
    services: Mapping[str, ServiceStatus]
    clock: GateClock | None = None  # None: a gate of version 1, or the answer to a change
    links: Mapping[str, Link] = field(
        default_factory=dict
    )  # by name, including altnames; empty whenever `clock` is None

    @property
    def macs(self) -> frozenset[str]:
        """Return all MAC addresses of the host's interfaces, including permanent ones."""
        return frozenset(mac for link in self.links.values() for mac in link.macs)


class GateClient(Protocol):
    """The gate of one host. Every call ends within its deadline, or raises `GateError`; threads may share it."""

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Ask which addresses are held and which processes run."""

    def last_status(self) -> GateStatus | None:
        """Return the last answer to `status`, of any age; None if there was none."""

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Carry out one verb and return the resulting status.

        A gate of version 2 requires a permit for `claim`, `start` and `respawn`.
        """

    def count_processes(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Count the live processes of each service of that host that names one, over the open `watch`."""

    def retry_now(self) -> None:
        """Forget failed attempts to connect, so that the next call tries at once."""

    def close(self) -> None:
        """Close the connection."""

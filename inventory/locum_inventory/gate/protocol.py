"""What is asked of a gate and what it answers, as types: the same over SSH and on this machine (docs/gate.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, Protocol

from locum_inventory.errors import LocumError
from locum_inventory.gate.clock import GateClock, Permit
from locum_inventory.site.model import Interface

Verb = Literal["respawn", "start", "stop", "release", "claim", "reset-epoch", "store-epoch"]
LinkState = Literal["up", "no_carrier", "down"]
FaultReason = Literal[
    "unreachable", "refused", "timeout", "auth", "host_key_unknown", "host_key_changed", "closed",
    "too_late",  # the evidence of a verb had become too old, or the host has booted since: nothing was done
    "old_epoch",  # the gate has seen a higher epoch: somebody else has changed the holder since
    "failed",  # the gate did what was asked, looked, and it was not so
    "busy",  # this program had no thread, descriptor or connection left to ask with
    "gate",  # the gate is missing, or does not know the verb or the service
]  # fmt: skip


class GateError(LocumError):
    """A gate could not be asked, did not answer, or said no.

    `asked` is False where the cause is on this machine and nothing was asked: that says nothing of the host.
    """

    def __init__(self, reason: FaultReason, text: str, *, asked: bool = True) -> None:
        super().__init__(text)
        self.reason: FaultReason = reason
        self.asked = asked

    @classmethod
    def busy(cls, text: str) -> GateError:
        """Return the fault of a call that this program had no means to make."""
        return cls("busy", text, asked=False)

    def again(self) -> GateError:
        """Return a copy: one exception raised in several threads would mix their tracebacks."""
        return GateError(self.reason, str(self), asked=self.asked)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What a gate says of one service on its host."""

    epoch: int  # the highest epoch this gate has seen for the service; 0 where none
    held: Mapping[IPv4Address | IPv6Address, bool]  # per service address: is it on this host's interface
    processes: int | None  # how many live (not zombie) processes; None where the service names none
    # Those of the absent ones that are there and not in use, with the kernel's word: tentative or dadfailed. Or
    # muted, where the host's boot guard is on.
    unusable_addresses: Mapping[IPv4Address | IPv6Address, str] = field(default_factory=dict)
    guarded: bool | None = None  # whether its boot guard is on; None where the host has none
    # The addresses of the host file with their prefix lengths, and the interface they go on; a gate of version 1
    # does not say them.
    addresses: tuple[Interface, ...] | None = None
    interface: str | None = None
    age_seconds: float | None = None  # since its oldest process was started; None where there is none
    underway: str | None = None  # the verb that runs for it right now: start, respawn or claim
    epoch_damaged: bool = False  # the gate's file of it cannot be read: it refuses every verb but a release


@dataclass(frozen=True, slots=True)
class Link:
    """One interface of a host, as its gate reports it."""

    state: LinkState
    macs: tuple[str, ...] = ()  # the present one first, then the one the card was made with


@dataclass(frozen=True, slots=True)
class GateStatus:
    """What a gate says of its host."""

    version: str
    config_sha256: str
    services: Mapping[str, ServiceStatus]
    clock: GateClock | None = None  # None: a gate of version 1, or the answer to a change
    links: Mapping[str, Link] = field(default_factory=dict)  # by name, altnames too; empty as `clock` is None

    @property
    def macs(self) -> frozenset[str]:
        """Return every MAC address of the host's interfaces, those they were made with included."""
        return frozenset(mac for link in self.links.values() for mac in link.macs)


class GateClient(Protocol):
    """The gate of one host. Every call ends within its deadline, or raises `GateError`; threads may share it."""

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Ask what is held and what runs."""

    def last_status(self) -> GateStatus | None:
        """Return the last answer to `status`, however old; None where there was none."""

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Carry out one verb and return how things are afterwards.

        A gate of version 2 wants a permit for `claim`, `start` and `respawn`.
        """

    def count_processes(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Count the live processes of every service of that host that names one, over the kept `watch`."""

    def retry_now(self) -> None:
        """Forget that the last attempts failed: what was in their way is gone, and the next call tries at once."""

    def close(self) -> None:
        """Give up the connection."""

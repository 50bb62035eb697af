"""The common base of the gate's clients."""

from __future__ import annotations

from abc import ABC, abstractmethod

from locum_inventory.gate.clock import Permit
from locum_inventory.gate.deadline import Deadline
from locum_inventory.gate.protocol import GateError, GateStatus, ServiceStatus, Verb
from locum_inventory.gate.shared_status import SharedStatus
from locum_inventory.gate.watch import Watch, WatchChannel


class GateClientBase(ABC):
    """A gate's client with a shared `status`, a persistent `watch`, and one call per changing verb."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._status = SharedStatus(host, self._ask_status)
        self._watch = Watch(host, self._open_watch)

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Ask which addresses are held and which processes run."""
        return self._status.get(Deadline(deadline_seconds))

    def last_status(self) -> GateStatus | None:
        """Return the last answer to `status`."""
        return self._status.last

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Carry out one verb and return the resulting status."""
        words = () if permit is None else permit.words
        status = self._change(Deadline(deadline_seconds), verb, service, str(epoch), *words)
        if service not in status.services:
            raise GateError("gate", f"{self._host}: the gate's answer does not include {service}")
        return status.services[service]

    @abstractmethod
    def _ask_status(self, deadline: Deadline) -> GateStatus:
        """Ask for the status."""

    @abstractmethod
    def _change(self, deadline: Deadline, *words: str) -> GateStatus:
        """Let the gate run a changing command, and return its answer."""

    @abstractmethod
    def _open_watch(self, deadline: Deadline) -> WatchChannel:
        """Begin a `watch`."""

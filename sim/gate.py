"""An actuator's client of a host's gate, over the simulated wire.

A verb that has reached the host is carried out there even if its caller gave up waiting or was killed, or later, if
the host stood still meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from locum_actuator.system import runtime
from locum_inventory.gate.clock import Permit
from locum_inventory.gate.protocol import GateError, GateStatus, ServiceStatus, Verb
from locum_inventory.site.model import Site
from sim.host_gate import HostDiedError, HostGate
from sim.world import FROZEN_POLL_SECONDS, Host, World

T = TypeVar("T")
RETRANSMIT_SECONDS = 0.2  # the kernel's shortest retransmission timeout
DEAD_PEER_SECONDS = 3.0  # as in gate/ssh_connection.py


@dataclass(slots=True)
class SimulatedGate:
    """The actuator's client of a host's gate: it asks over the wire, and never waits past its deadline."""

    world: World
    gate: HostGate
    _last: GateStatus | None = None

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Ask for the status."""
        answer = self._call("status", self.gate.status, deadline_seconds)
        if answer.clock is not None:  # it counts from here by the clock of the actuator's machine
            answer = replace(answer, clock=replace(answer.clock, answered_at=runtime.since_boot()))
        self._last = answer
        return answer

    def last_status(self) -> GateStatus | None:
        """Return the last answer."""
        return self._last

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Have a verb carried out."""
        name = self.gate.host.name
        self.world.happened(f"{verb} is sent, epoch {epoch}", name)
        self.world.ordered(verb, name)
        answer = self._call(verb, lambda: self.gate.carry_out(verb, service, epoch, permit), deadline_seconds)
        self.world.operation()  # between the answer and what its caller writes down
        return answer

    def count_processes(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Ask for the number of processes."""
        return self._call("watch", lambda: {self.gate.service: self.gate.host.processes}, deadline_seconds)

    def retry_now(self) -> None:
        """Do nothing: a connection takes no time here."""

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _call(self, what: str, answer: Callable[[], T], deadline_seconds: float) -> T:
        """Send a call over a kept connection; the host carries it out, whether or not its caller still waits."""
        self.world.operation()
        host = self.gate.host
        if host.gate_gone and self.world.wire.reaches(self.world.home, host.name):
            raise GateError("refused", f"{host.name}: connection refused")
        call = _Call(self.world, host, answer)
        self.world.begin(call.travel, name=f"gate-{host.name}-{what}")
        deadline = runtime.monotonic() + deadline_seconds
        while not call.ended.wait(min(DEAD_PEER_SECONDS, max(0.0, deadline - runtime.monotonic()))):
            if runtime.monotonic() >= deadline:
                text = f"{host.name}: the gate did not finish {what} within {deadline_seconds:g} s"
                raise GateError("timeout", text)
            if not call.is_carried():  # keepalives are not answered
                raise GateError("closed", f"{host.name}: the connection was closed")
        if not call.results:
            raise GateError("closed", f"{host.name}: the connection was closed")
        result = call.results[0]
        if isinstance(result, GateError):
            raise result
        return result


class _Call(Generic[T]):
    """One call on its way to a host, there, and back."""

    def __init__(self, world: World, host: Host, answer: Callable[[], T]) -> None:
        self._world, self._host, self._answer, self._boots = world, host, answer, host.boots
        self.results: list[T | GateError] = []
        self.ended = runtime.event()

    def travel(self) -> None:
        try:
            host = self._host
            if not self.is_carried():
                return
            while host.boots == self._boots and not host.runs:  # what has arrived is read once it runs again
                runtime.sleep(FROZEN_POLL_SECONDS)
            if host.boots != self._boots or host.gate_gone:
                return
            try:
                result: T | GateError = self._answer()
            except GateError as error:
                result = error
            except HostDiedError:
                return
            if host.boots == self._boots and self.is_carried():
                self.results.append(result)
        finally:
            self.ended.set()

    def is_carried(self) -> bool:
        """Carry data to a host or back, as TCP does: again and again, until the connection counts as dead."""
        world, name = self._world, self._host.name
        begun, pause = world.now, RETRANSMIT_SECONDS
        runtime.sleep(world.wire.round_trip(world.home, name))
        while not world.wire.reaches(world.home, name):
            if world.now - begun >= DEAD_PEER_SECONDS:
                return False
            runtime.sleep(pause)
            pause *= 2
        return True


class SimulatedGates:
    """The gates by host. Those on the hosts stay when the actuator's clients of them are closed."""

    def __init__(self, world: World, host_gates: Mapping[str, HostGate]) -> None:
        self._gates = {name: SimulatedGate(world, gate) for name, gate in host_gates.items()}

    def __getitem__(self, host: str) -> SimulatedGate:
        """Return the gate of a host."""
        return self._gates[host]

    def close(self) -> None:
        """Do nothing: there is no connection."""


def host_gates(world: World, site: Site, service: str) -> dict[str, HostGate]:
    """Return the gate on each host of a service."""
    return {name: HostGate(world, site, world.hosts[name], service) for name in site.services[service].hosts}

"""A model of gate.sh: what a host's gate refuses and does, and an actuator's client of it over the wire.

The rules are those of docs/gate.md: epochs, permits by the host's own boot and uptime, turns of verbs, a release
that ends a start. A verb that has reached the host is carried out there even if its caller gave up waiting, or
later, if the host was frozen meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from locum_actuator.system import runtime
from locum_inventory.gate.clock import GateClock, Permit
from locum_inventory.gate.host_file import gate_version, host_file_sha256
from locum_inventory.gate.protocol import GateError, GateStatus, Link, ServiceStatus, Verb
from locum_inventory.site.model import Site
from sim.world import ROUND_TRIP_SECONDS, Host, World

T = TypeVar("T")
FROZEN_POLL_SECONDS = 0.05
RETRANSMIT_SECONDS = 0.2  # the kernel's shortest retransmission timeout
DEAD_PEER_SECONDS = 3.0  # as in gate/ssh_connection.py
STOP_SECONDS = 0.05
GIVES = {"claim", "start", "respawn"}


@dataclass(slots=True)
class HostGate:
    """The gate on its host."""

    world: World
    site: Site
    host: Host
    service: str
    _turn: runtime.Lock = field(default_factory=runtime.lock)
    # Reading the script for every status would take most of the time.
    _version: str = field(default_factory=gate_version)
    _config: str = field(init=False)

    def __post_init__(self) -> None:
        """Enrol the host: its file is of this site."""
        self._config = host_file_sha256(self.site, self.host.name)

    def status(self) -> GateStatus:
        """Report the state of the host."""
        host = self.host
        clock = GateClock(host.boot_id, int(host.uptime_seconds * 100), runtime.since_boot())
        links = {"eth0": Link("no_carrier" if host.cut else "up", (f"02:00:00:00:00:{ord(host.name):02x}",))}
        return GateStatus(self._version, self._config, {self.service: self.service_status()}, clock, links)

    def service_status(self) -> ServiceStatus:
        """Report the state of the service."""
        host, values = self.host, self.site.services[self.service]
        return ServiceStatus(
            epoch=host.epoch,
            held={address.ip: host.has_address for address in values.addresses},
            processes=host.processes,
            addresses=values.addresses,
            interface=values.interface[host.name],
            age_seconds=runtime.monotonic() - host.started_at if host.processes else None,
            underway=host.underway,
        )

    def carry_out(self, verb: Verb, epoch: int, permit: Permit | None) -> ServiceStatus:
        """Carry out a verb. Raises `GateError` as the real gate's answer would."""
        host = self.host
        if verb == "release":
            host.releases += 1
        else:
            self._check_epoch(epoch)
        if verb in GIVES and permit is None:
            raise GateError("gate", f"{verb} takes a service, an epoch, a boot id, an uptime and addresses")
        with self._turn:
            if verb in GIVES:
                self._check_permit(verb, permit)
                self._check_epoch(epoch)
            host.epoch = max(host.epoch, epoch)
            match verb:
                case "release":
                    self.world.take_address(host)
                    self._stop()
                case "claim":
                    self.world.put_address(host)
                case "start":
                    self._start(verb)
                case "respawn":
                    self._stop()
                    self._start(verb)
                case "stop":
                    self._stop()
        return self.service_status()

    def _check_epoch(self, epoch: int) -> None:
        if epoch < self.host.epoch:
            raise GateError("old_epoch", f"{self.host.name}: epoch {epoch} is older than {self.host.epoch}")

    def _check_permit(self, verb: Verb, permit: Permit | None) -> None:
        assert permit is not None
        if permit.boot_id != self.host.boot_id:
            raise GateError("too_late", f"{self.host.name}: this host has booted since")
        if int(self.host.uptime_seconds * 100) > permit.good_until_hundredths:
            raise GateError(
                "too_late", f"{self.host.name}: {verb} came after its evidence had become too old"
            )

    def _stop(self) -> None:
        runtime.sleep(STOP_SECONDS)
        self.world.stop_service(self.host)

    def _start(self, verb: Verb) -> None:
        host, releases = self.host, self.host.releases
        host.underway = verb
        try:
            there = self.world.start_service(host)
            runtime.sleep(STOP_SECONDS)
            if host.releases != releases:
                raise GateError("failed", f"{host.name}: a release ended the {verb}")
            if not there:
                raise GateError("failed", f"{host.name}: {verb} returned 1 and no process is there; it said:")
        finally:
            host.underway = None


@dataclass(slots=True)
class SimulatedGate:
    """The actuator's client of a host's gate: it asks over the wire, and never waits past its deadline."""

    world: World
    gate: HostGate
    _last: GateStatus | None = None

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Ask for the status."""
        self._last = self._call("status", self.gate.status, deadline_seconds)
        return self._last

    def last_status(self) -> GateStatus | None:
        """Return the last answer."""
        return self._last

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Have a verb carried out."""
        name = self.gate.host.name
        self.world.happened(f"{verb} is sent, epoch {epoch}", name)
        return self._call(verb, lambda: self.gate.carry_out(verb, epoch, permit), deadline_seconds)

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
        results: list[T | GateError] = []
        ended = runtime.event()
        boots = host.boots

        def travel() -> None:
            try:
                if not self._carried(host):
                    return
                while host.frozen and host.boots == boots:  # what has arrived is read once it runs again
                    runtime.sleep(FROZEN_POLL_SECONDS)
                if host.boots != boots:
                    return
                try:
                    result: T | GateError = answer()
                except GateError as error:
                    result = error
                if host.boots == boots and self._carried(host):
                    results.append(result)
            finally:
                ended.set()

        runtime.thread(travel, name=f"gate-{host.name}-{what}").start()
        deadline = runtime.monotonic() + deadline_seconds
        while not ended.wait(min(DEAD_PEER_SECONDS, max(0.0, deadline - runtime.monotonic()))):
            if runtime.monotonic() >= deadline:
                text = f"{host.name}: the gate did not finish {what} within {deadline_seconds:g} s"
                raise GateError("timeout", text)
            if not self._carried(host):  # keepalives are not answered
                raise GateError("closed", f"{host.name}: the connection was closed")
        if not results:
            raise GateError("closed", f"{host.name}: the connection was closed")
        if isinstance(results[0], GateError):
            raise results[0]
        return results[0]

    def _carried(self, host: Host) -> bool:
        """Carry data to a host or back, as TCP does: again and again, until the connection counts as dead."""
        begun, pause = runtime.monotonic(), RETRANSMIT_SECONDS
        runtime.sleep(ROUND_TRIP_SECONDS)
        while not self.world.reaches(self.world.home, host.name):
            if runtime.monotonic() - begun >= DEAD_PEER_SECONDS:
                return False
            runtime.sleep(pause)
            pause *= 2
        return True


class SimulatedGates:
    """The gates by host."""

    def __init__(self, world: World, site: Site, service: str) -> None:
        self._gates = {
            name: SimulatedGate(world, HostGate(world, site, host, service))
            for name, host in world.hosts.items()
        }

    def __getitem__(self, host: str) -> SimulatedGate:
        """Return the gate of a host."""
        return self._gates[host]

    def close(self) -> None:
        """Do nothing: there is no connection."""

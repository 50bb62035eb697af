"""The simulated world: hosts with a service and an address, the wire between them, and what has happened.

Time is that of the virtual runtime. Nothing here knows what locum does: the gates, the observer and the chain
(their own files) act on hosts and ask over the wire.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from locum_actuator.system import runtime

Service = Literal["stopped", "starting", "well", "hung"]
ROUND_TRIP_SECONDS = 0.0005
TRIES = 3  # of a question over the wire that is repeated when no answer comes: ARP, a TCP connection


@dataclass(slots=True)
class Host:
    """One host. What it is and does; the actuator does not see any of it directly."""

    name: str
    up: bool = True
    frozen: bool = False  # nothing runs on it, and its kernel answers nothing: a paused virtual machine
    boots: int = 1
    booted_at: float = 0.0
    service: Service = "stopped"
    started_at: float = 0.0
    start_seconds: float = 0.2  # until the service answers
    start_fails: bool = False
    has_address: bool = False
    epoch: int = 0
    cut: bool = False  # its cable is out
    loses: float = 0.0  # the part of packets that is lost, each way
    underway: str | None = None
    releases: int = 0  # orders to release: each ends a start that is under way

    @property
    def runs(self) -> bool:
        """Whether anything on it runs."""
        return self.up and not self.frozen

    @property
    def uptime_seconds(self) -> float:
        """The seconds since its boot."""
        return runtime.since_boot() - self.booted_at

    @property
    def boot_id(self) -> str:
        """The id of this boot, 36 characters."""
        return f"{self.boots:08d}-0000-4000-8000-00000000{self.name:0>4}"

    @property
    def processes(self) -> int:
        """How many processes of the service run."""
        return 0 if self.service == "stopped" else 3


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for a person who reads the course of a scenario."""

    at: float
    text: str
    host: str | None = None


@dataclass(slots=True)
class World:
    """All hosts, the wire, and the course of events. `after_each` is called after every change."""

    hosts: dict[str, Host]
    home: str  # the host that the actuator runs on
    chance: random.Random
    events: list[Event] = field(default_factory=list)
    after_each: list[Callable[[], None]] = field(default_factory=list)
    operations: int = 0  # questions, orders and writes so far: faults are brought between two of them
    at_operation: dict[int, list[Callable[[], None]]] = field(default_factory=dict)

    def happened(self, text: str, host: str | None = None) -> None:
        """Write down a change, and let the invariants be checked."""
        self.events.append(Event(runtime.monotonic(), text, host))
        for call in self.after_each:
            call()

    def operation(self) -> None:
        """Count an operation of the actuator, and bring the faults that wait for it."""
        self.operations += 1
        for bring in self.at_operation.pop(self.operations, ()):
            bring()

    # -- the wire ------------------------------------------------------------------------------------------------

    def reaches(self, source: str, destination: str) -> bool:
        """Send one packet and its answer; return whether the answer came back."""
        if source == destination:
            return True
        ends = (self.hosts[source], self.hosts[destination])
        if any(end.cut for end in ends) or not self.hosts[destination].runs:
            return False
        return all(self.chance.random() >= end.loses for end in ends for _ in range(2))

    def reaches_repeated(self, source: str, destination: str) -> bool:
        """Send a question up to TRIES times; return whether an answer came back."""
        return any(self.reaches(source, destination) for _ in range(TRIES))

    def is_linked(self, name: str) -> bool:
        """Return whether a host's cable is in."""
        return not self.hosts[name].cut

    def answering(self, source: str) -> Iterator[str]:
        """Yield the hosts that answer for the address, as one host hears it."""
        for name, host in self.hosts.items():
            if host.has_address and host.runs and self.reaches_repeated(source, name):
                yield name

    # -- a host's own changes --------------------------------------------------------------------------------------

    def start_service(self, host: Host) -> bool:
        """Start the service, as its start command does; return whether its process is there."""
        if host.service in {"well", "starting", "hung"}:
            return True
        if host.start_fails:
            return False
        host.service, host.started_at = "starting", runtime.monotonic()
        boots = host.boots
        self.happened("the service starts", host.name)

        def answers() -> None:
            runtime.sleep(host.start_seconds)
            if host.boots == boots and host.service == "starting":
                host.service = "well"
                self.happened("the service answers", host.name)

        runtime.thread(answers, name=f"start-{host.name}").start()
        return True

    def stop_service(self, host: Host) -> None:
        """End the service's processes."""
        if host.service != "stopped":
            host.service = "stopped"
            self.happened("the service has ended", host.name)

    def put_address(self, host: Host) -> None:
        """Put the address on an interface of a host."""
        if not host.has_address:
            host.has_address = True
            self.happened("has the address", host.name)

    def take_address(self, host: Host) -> None:
        """Take it off again."""
        if host.has_address:
            host.has_address = False
            self.happened("no longer has the address", host.name)

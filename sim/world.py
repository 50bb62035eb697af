"""The simulated world: hosts with a service and an address, the wire between them, and what has happened.

Time is that of the virtual runtime. Nothing here knows what locum does: the gates, the observer and the chain
(their own files) act on hosts and ask over the wire. All of it runs in threads of the world: a question or an order
that has been sent goes on when the actuator that sent it is killed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from locum_actuator.system import runtime
from sim.host import Host
from sim.processes import Process
from sim.virtual_time import VirtualRuntime
from sim.wire import Wire

__all__ = ["FROZEN_POLL_SECONDS", "Event", "Host", "World"]

FROZEN_POLL_SECONDS = 0.05
QUESTIONS = frozenset({"confirm"})  # steps that change nothing


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
    virtual: VirtualRuntime = field(default_factory=lambda: VirtualRuntime.active)
    wire: Wire = field(init=False)
    events: list[Event] = field(default_factory=list)
    after_each: list[Callable[[], None]] = field(default_factory=list)
    operations: int = 0  # questions, orders and writes so far: faults are brought between two of them
    at_operation: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    # … so many after the next step.
    at_step: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    situations: int = 0  # complete checks of the actuator so far
    asked_who_has_it_at: float = float("-inf")  # when the actuator last asked that and got an answer
    not_confirmed_at: float = float("-inf")  # when a step last asked that in vain
    # When a host was last given the address by order.
    claims_at: dict[str, float] = field(default_factory=dict)
    fenced_at: dict[str, float] = field(default_factory=dict)  # when a host was last switched off
    decided_at: float = float("-inf")  # when the actuator last wrote down a decision
    # When the actuator last wrote down that a step which changes something failed.
    step_failed_at: float = float("-inf")
    moved_by_person_at: float = float("-inf")  # when a person last ordered a move
    uncaught: list[str] = field(default_factory=list)  # exceptions that ended a thread
    # When a fence device last lied about a host.
    lied_about_at: dict[str, float] = field(default_factory=dict)
    # When a paused host's clocks last went on.
    clock_paused_at: dict[str, float] = field(default_factory=dict)
    on_order: Callable[[str, str], None] = lambda verb, host: None  # called as the actuator sends an order
    # … as it writes down how an incident ended, and why.
    on_close: Callable[[str, str], None] = lambda outcome, reason: None

    def __post_init__(self) -> None:
        """Lay the wire between the hosts."""
        self.wire = Wire(self.hosts, self.chance)

    @property
    def now(self) -> float:
        """The world's time; no machine's clock has to agree with it."""
        return self.virtual.now

    @property
    def process(self) -> Process:
        """The process of the threads of the world."""
        return self.virtual.world

    def begin(self, call: Callable[[], object], *, name: str) -> None:
        """Start a thread of the world, in whichever process the caller is."""
        self.virtual.spawn(self.process, call, name=name)

    def later(self, seconds: float, call: Callable[[], object], *, name: str) -> None:
        """Make a call in a thread of the world after some seconds."""

        def run() -> None:
            runtime.sleep(seconds)
            call()

        self.begin(run, name=name)

    def happened(self, text: str, host: str | None = None) -> None:
        """Write down a change, and let the invariants be checked."""
        self.events.append(Event(self.now, text, host))
        for call in self.after_each:
            call()

    def operation(self) -> None:
        """Count an operation of the actuator, and bring the faults that wait for it."""
        self.operations += 1
        for bring in self.at_operation.pop(self.operations, ()):
            bring()
        self.virtual.obey()

    def is_late(self) -> bool:
        """Return whether the actuator's machine is too busy to read the answer to its next question in time."""
        busy = self.hosts[self.home].busy
        return busy > 0.0 and self.chance.random() < busy

    def writes_down(self, kind: str, step: str | None) -> None:
        """Note a row that the actuator writes; faults that wait for a step of a plan are then counted down."""
        if kind == "decided":
            self.decided_at = self.now
        if kind in {"failed", "undone"} and step not in QUESTIONS:
            self.step_failed_at = self.now
        while kind == "started" and self.at_step:
            operations, bring = self.at_step.pop()
            self.at_operation.setdefault(self.operations + operations, []).append(bring)

    def ordered(self, verb: str, host: str) -> None:
        """Note that the actuator sends an order to a host."""
        self.on_order(verb, host)

    # -- the wire ------------------------------------------------------------------------------------------------

    def answering(self, source: str) -> Iterator[str]:
        """Yield the hosts that answer for the address, as one host hears it."""
        for name, host in self.hosts.items():
            if host.has_address and host.is_heard and self.wire.reaches_repeated(source, name):
                yield name

    # -- a host's own changes --------------------------------------------------------------------------------------

    def start_service(self, host: Host) -> bool:
        """Start the service, as its start command does; return whether its process is there."""
        if host.service != "stopped":
            return True
        if host.start_fails:
            return False
        host.service, host.started_at, host.started_by_boot = "starting", self.now, False
        host.starts += 1
        starts, boots = host.starts, host.boots
        self.happened("the service starts", host.name)

        def answers() -> None:
            while host.boots == boots and not host.runs:  # a host that stands still starts nothing
                runtime.sleep(0.5)
            if host.boots != boots or host.starts != starts or host.service != "starting":
                return
            host.service = "wrong" if host.answers_wrongly else "well"
            self.happened("the service answers", host.name)
            if host.dies_after is not None:
                runtime.sleep(host.dies_after)
                if host.boots == boots and host.starts == starts:
                    self.stop_service(host)

        self.later(host.start_seconds, answers, name=f"start-{host.name}")
        return True

    def stop_service(self, host: Host) -> None:
        """End the service's processes."""
        if host.service != "stopped":
            host.service = "stopped"
            self.happened("the service has ended", host.name)

    def put_address(self, host: Host) -> None:
        """Put the address on an interface of a host, as it was ordered to."""
        self.claims_at[host.name] = self.now
        if not host.has_address:
            host.has_address = True
            self.happened("has the address", host.name)

    def take_address(self, host: Host) -> None:
        """Take it off again."""
        if host.has_address:
            host.has_address = False
            self.happened("no longer has the address", host.name)

    def lose_power(self, host: Host) -> None:
        """End everything on a host at once."""
        host.up, host.service, host.underway, host.has_address = False, "stopped", None, False
        host.frozen = host.stopped = False
        host.boots += 1

    def boot(self, host: Host, *, with_address: bool = False) -> None:
        """Give a host its power back; its boot configuration may have the address and the service."""
        if host.up:
            return
        host.up, host.booted_at = True, self.now
        host.has_address = with_address
        self.happened("has booted with the address" if with_address else "has booted", host.name)
        if with_address:
            self.start_service(host)
            host.started_by_boot = True

"""Faults of the wire, of the cards on it, and of the firewalls."""

from __future__ import annotations

from collections.abc import Iterator

from sim.faults.kinds import Fault, Stage, fault
from sim.host import Host

MOST_LOST = 0.4  # of the packets each way: with more the first check alone may find none (docs/trust.md)
MOST_DELAY_SECONDS = 1.0  # of each packet, each way


@fault(weight=6)
def cut(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its cable is pulled."""
    host.cut = True
    yield
    host.cut = False


@fault(weight=4)
def sever(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """The line between it and another host is cut, one way or both."""
    others = [name for name in stage.world.hosts if name != host.name]
    other = others[int(of.amount * len(others))]
    ways = {(host.name, other), (other, host.name)}
    if of.amount * 10 % 1 < 0.4:
        ways = {(host.name, other)}
    stage.world.wire.severed |= ways
    yield
    stage.world.wire.severed -= ways


@fault(weight=3)
def lose(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its line loses a part of the packets, each way."""
    host.loses = 0.05 + of.amount * MOST_LOST
    yield
    host.loses = 0.0


@fault(weight=2)
def delay(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Each of its packets is late, each way."""
    host.delay_seconds = of.amount**2 * MOST_DELAY_SECONDS
    yield
    host.delay_seconds = 0.0


@fault(weight=2)
def second_card(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Another card of it answers for the address."""
    host.second_card = True
    yield
    host.second_card = False


@fault(weight=1)
def stranger(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """A machine of no site answers for the address."""
    stage.world.wire.stranger = True
    yield
    stage.world.wire.stranger = False


@fault(weight=2)
def witness_dead(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """The witness answers no ping."""
    stage.world.wire.witness_dead = True
    yield
    stage.world.wire.witness_dead = False


@fault(weight=2)
def drop_check(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its firewall drops what is for the service, and answers pings."""
    host.check_dropped = True
    yield
    host.check_dropped = False


@fault(weight=2)
def drop_service_address(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its firewall drops what is for the service address."""
    host.through_dropped = True
    yield
    host.through_dropped = False


@fault(weight=2)
def gate_gone(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its sshd is gone."""
    host.gate_gone = True
    yield
    host.gate_gone = False


@fault(weight=2)
def drop_address(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """A person removes the service address from it."""
    stage.world.take_address(host)
    yield

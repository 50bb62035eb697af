"""Faults of the disk of the actuator's machine."""

from __future__ import annotations

from collections.abc import Iterator

from sim.disk import BROKEN, FULL, READ_ONLY
from sim.faults.kinds import Fault, Stage, fault
from sim.host import Host

MOST_COMMIT_SECONDS = 20.0


@fault(weight=3)
def slow_disk(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Each commit takes long."""
    disk = stage.actuator.disk
    disk.commit_seconds = 0.05 + of.amount**3 * MOST_COMMIT_SECONDS
    yield
    disk.commit_seconds = 0.0


@fault(weight=4)
def disk_fails(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Each write fails: the disk is full, read-only or broken."""
    disk = stage.actuator.disk
    disk.fault = (FULL, READ_ONLY, BROKEN)[int(of.amount * 3)]
    disk.fails_at_statements = of.amount * 30 % 1 < 0.5
    yield
    disk.fault = None


@fault(weight=1)
def gate_disk_fails(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """The disk of a host takes no write, so that its gate cannot store an epoch."""
    host.read_only = True
    yield
    host.read_only = False

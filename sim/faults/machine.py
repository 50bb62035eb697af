"""Faults of the actuator's machine as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from sim.faults.kinds import Fault, Stage, fault
from sim.host import Host


@fault(weight=3)
def busy(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """It is so busy that a part of its own questions is answered too late to be read, and counts as not asked."""
    stage.home.busy = 0.2 + 0.7 * of.amount
    yield
    stage.home.busy = 0.0


@fault(weight=2)
def restored_journal(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """A person puts an older copy of the journal in its place, as from a backup, and starts the actuator."""
    disk, accepted = stage.actuator.disk, stage.actuator.accepted.copy()
    copy = disk.copied()
    yield
    stage.actuator.kill()
    disk.restore(copy)
    stage.actuator.journal_is_older(accepted)

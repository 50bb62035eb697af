"""What people order while faults happen."""

from __future__ import annotations

from collections.abc import Iterator

from locum_actuator.domain.plan import Move
from sim.faults.kinds import Fault, Stage, fault
from sim.host import Host


@fault(weight=2)
def pause(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """A person pauses the service, and resumes it."""
    stage.actuator.pause(3600.0)
    yield
    stage.actuator.unpause()


@fault(weight=4)
def switchover(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """A person moves the service."""
    stage.world.moved_by_person_at = stage.world.now
    target = host.name if of.amount < 0.7 and host.name in stage.profile.service_hosts else None
    stage.actuator.move(Move("switchover", target, asked_by="anna", despite_pause=of.amount < 0.1))
    yield


@fault(weight=2)
def failback(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """A person moves the service back to its preferred host."""
    stage.world.moved_by_person_at = stage.world.now
    stage.actuator.move(Move("failback", asked_by="anna"))
    yield

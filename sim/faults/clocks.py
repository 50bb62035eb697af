"""Clocks that are set, or that run too fast or too slowly."""

from __future__ import annotations

from collections.abc import Iterator

from sim.faults.kinds import Fault, Stage, fault
from sim.host import Host

STEPS_SECONDS = (-3600.0, -30.0, -5.0, 5.0, 30.0, 3600.0)


@fault(weight=2)
def set_clock(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """The wall clock of the actuator's machine is set ahead or back, and put right later."""
    step = STEPS_SECONDS[int(of.amount * len(STEPS_SECONDS))]
    stage.home.clocks.wall += step
    yield
    stage.home.clocks.wall -= step


@fault(weight=1)
def drift(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """A host's clock since boot is a little fast or slow, as quartz is: 100 parts in a million at most."""
    rate = (of.amount - 0.5) * 200e-6
    began = stage.world.now
    yield
    if host is not stage.home:
        host.clocks.since_boot += rate * (stage.world.now - began)

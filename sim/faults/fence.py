"""Faults of the devices that switch hosts off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from sim.faults.kinds import Fault, Stage, fault
from sim.fences import Mood
from sim.host import Host

_MOODS: tuple[Mood, ...] = get_args(Mood)[1:]


@fault(weight=4)
def fence_device(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its device is slow, fails, or reports what is not true."""
    stage.fences.moods[host.name] = _MOODS[int(of.amount * len(_MOODS))]
    yield
    stage.fences.moods.pop(host.name, None)
    stage.fences.claims_off.discard(host.name)

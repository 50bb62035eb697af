"""Brings the faults of a schedule upon the world, and ends them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from locum_actuator.system import runtime
from sim.faults import KINDS, Fault, Stage
from sim.faults.kinds import HOLDER
from sim.host import Host

BOOT_BY_PEOPLE_SECONDS = 30.0  # until a person has given a host that was switched off its power back
LOOK_SECONDS = 1.0


class Injector:
    """Brings faults at their moments."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._active: dict[int, Iterator[None]] = {}  # courses that have not ended, by number
        self._count = 0
        self._ended = False

    def run(self, faults: tuple[Fault, ...], begun: float) -> None:
        """Bring each fault at its time."""
        world = self._stage.world
        for fault in faults:
            runtime.sleep(max(0.0, begun + fault.at - world.now))
            if fault.operations is None:
                self._bring(fault)
            elif fault.in_plan:
                world.at_step.append((fault.operations, partial(self._bring, fault)))
            else:
                at = world.operations + fault.operations
                world.at_operation.setdefault(at, []).append(partial(self._bring, fault))

    def power_on(self, ended: runtime.Event) -> None:
        """Give hosts that were switched off their power back after a while, as a person would."""
        world = self._stage.world
        while not ended.wait(LOOK_SECONDS):
            for name, at in list(world.fenced_at.items()):
                if world.now - at > BOOT_BY_PEOPLE_SECONDS:
                    world.boot(world.hosts[name])

    def _bring(self, fault: Fault) -> None:
        if self._ended:
            return
        world = self._stage.world
        self._count += 1
        number, host = self._count, self._host(fault)
        course = self._active[number] = KINDS[fault.kind](self._stage, host, fault)
        world.happened(f"fault: {fault.kind} ({fault.amount:.2f})", host.name)
        world.later(fault.lasts, lambda: self._end(number, fault, host), name=f"end-{fault.kind}")
        next(course)
        world.happened(f"{fault.kind} is there", host.name)

    def _host(self, fault: Fault) -> Host:
        hosts = self._stage.world.hosts
        if fault.host != HOLDER:
            return hosts[fault.host]
        holders = (host for host in hosts.values() if host.has_address)
        return next(holders, hosts[self._stage.profile.service_hosts[0]])

    def _end(self, number: int, fault: Fault, host: Host) -> None:
        course = self._active.pop(number, None)
        if course is not None:
            next(course, None)
            self._stage.world.happened(f"end of {fault.kind}", host.name)

    def heal_all(self) -> None:
        """End every fault that still lasts, and give each host its power."""
        world = self._stage.world
        self._ended = True
        world.at_operation.clear()
        world.at_step.clear()
        for course in [self._active.pop(number) for number in sorted(self._active)]:
            next(course, None)
        for host in world.hosts.values():
            world.boot(host)
        world.happened("all faults are healed")

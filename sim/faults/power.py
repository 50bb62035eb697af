"""Faults of a host's power, and of all that runs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sim.faults.kinds import Fault, Stage, fault
from sim.host import Host

WITH_ADDRESS = 0.5  # of the hosts that boot, this part has address and service in its boot configuration


@fault(weight=6)
def crash(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """It loses its power, and boots later."""
    stage.world.lose_power(host)
    if host is stage.home:
        stage.actuator.kill()
    yield
    stage.world.boot(host, with_address=of.amount < WITH_ADDRESS and host.name in stage.profile.service_hosts)


@fault(weight=3)
def freeze_processes(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Every process of it stands still; its kernel still answers."""
    if not host.up:
        yield
        return
    boots, host.stopped = host.boots, True
    if host is stage.home:
        stage.actuator.freeze()
    yield
    if host.boots == boots:
        host.stopped = False
        if host is stage.home:
            stage.actuator.thaw()


@fault(weight=3)
def freeze(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """All of it stands still, as a paused virtual machine does whose clock is set again when it goes on."""
    yield from _stand_still(stage, host, lambda seconds: None)


@fault(weight=2)
def pause_machine(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """All of it stands still, its clocks included, as a virtual machine that a hypervisor pauses."""
    yield from _stand_still(stage, host, host.clocks.stand_still, shifts=True)
    stage.world.clock_paused_at[host.name] = stage.world.now


@fault(weight=1)
def suspend_machine(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """All of it stands still; its clock since boot goes on, and its monotonic one does not."""
    yield from _stand_still(stage, host, host.clocks.sleep, shifts=True)


def _stand_still(
    stage: Stage, host: Host, change_clocks: Callable[[float], None], *, shifts: bool = False
) -> Iterator[None]:
    """Let a host stand still; `change_clocks` is called with how long it did before it goes on."""
    if not host.runs:
        yield
        return
    boots, began, host.frozen = host.boots, stage.world.now, True
    if host is stage.home:
        stage.actuator.freeze()
    yield
    if host.boots != boots or not host.frozen:
        return
    seconds = stage.world.now - began
    change_clocks(seconds)
    host.frozen = False
    if host is stage.home:
        stage.actuator.thaw(seconds if shifts else 0.0)

"""What befalls the actuator's process."""

from __future__ import annotations

from collections.abc import Iterator

from sim.faults.kinds import Fault, Stage, fault
from sim.host import Host


@fault(weight=10)
def kill_actuator(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """It is killed, and started again."""
    stage.actuator.kill()
    yield


@fault(weight=3)
def restart_actuator(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """It is asked to end, and started again."""
    stage.actuator.stop()
    yield


@fault(weight=5)
def stop_actuator(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its process stands still (SIGSTOP) while the world goes on."""
    process = stage.actuator.process
    stage.actuator.freeze()
    yield
    if stage.actuator.process is process and stage.home.runs:
        stage.actuator.thaw()


@fault(weight=3)
def reload(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """It reads its site file again, in which a limit of the service has changed."""
    site = stage.actuator.site
    service = site.services[stage.actuator.service]
    takeover = service.takeover.model_copy(update={"max_per_hour": 60 - int(of.amount * 10)})
    services = {**site.services, stage.actuator.service: service.model_copy(update={"takeover": takeover})}
    stage.actuator.reload(site.model_copy(update={"services": services}))
    yield

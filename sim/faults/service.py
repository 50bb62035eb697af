"""Faults of the service on a host."""

from __future__ import annotations

from collections.abc import Iterator

from sim.faults.kinds import Fault, Stage, fault
from sim.host import START_SECONDS, STOP_SECONDS, Host

MOST_START_SECONDS = 12.0
MOST_STOP_SECONDS = 12.0


@fault(weight=6)
def kill(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its processes end."""
    stage.world.stop_service(host)
    yield


@fault(weight=6)
def hang(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its processes stand still."""
    if host.service in {"well", "starting", "wrong"}:
        host.service = "hung"
    yield
    if host.service == "hung":
        host.service = "well"


@fault(weight=2)
def answer_wrongly(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """It answers, but not as expected, also when it is started again."""
    host.answers_wrongly = True
    if host.service == "well":
        host.service = "wrong"
    yield
    host.answers_wrongly = False
    if host.service == "wrong":
        host.service = "well"


@fault(weight=3)
def slow_start(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """It takes long to answer after a start."""
    host.start_seconds = 0.5 + of.amount * MOST_START_SECONDS
    yield
    host.start_seconds = START_SECONDS


@fault(weight=3)
def slow_stop(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its stop command takes long."""
    host.stop_seconds = 0.5 + of.amount * MOST_STOP_SECONDS
    yield
    host.stop_seconds = STOP_SECONDS


@fault(weight=3)
def start_fails(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its start command fails."""
    host.start_fails = True
    yield
    host.start_fails = False


@fault(weight=2)
def die_again(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """It ends now, and again soon after each start."""
    host.dies_after = of.amount * 8.0
    stage.world.stop_service(host)
    yield
    host.dies_after = None

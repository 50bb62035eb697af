"""Faults of the exporters, of Prometheus and of Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from sim.faults.kinds import Fault, Stage, fault
from sim.host import Exporter, Host

_MOODS: tuple[Exporter, ...] = get_args(Exporter)[1:]


@fault(weight=4)
def exporter(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Its exporter is gone, has no right to ping, or is too slow."""
    host.exporter = _MOODS[int(of.amount * len(_MOODS))]
    yield
    host.exporter = "well"


@fault(weight=2)
def prometheus_dead(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Prometheus is gone."""
    stage.chain.prometheus_dead = True
    yield
    stage.chain.prometheus_dead = False


@fault(weight=2)
def alertmanager_dead(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Alertmanager is gone."""
    stage.chain.alertmanager_dead = True
    yield
    stage.chain.alertmanager_dead = False


@fault(weight=1)
def silenced(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """A person silences what wakes locum."""
    stage.chain.silenced = True
    yield
    stage.chain.silenced = False


@fault(weight=2)
def alerts_late(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Alerts arrive late, in another order, and twice; some are lost."""
    stage.chain.late_seconds, stage.chain.loses, stage.chain.duplicates = 5.0, of.amount / 2, True
    yield
    stage.chain.late_seconds, stage.chain.loses, stage.chain.duplicates = 0.0, 0.0, False


@fault(weight=2)
def forged_alerts(stage: Stage, host: Host, of: Fault) -> Iterator[None]:
    """Alerts arrive that no rule has fired."""
    for number in range(1 + int(of.amount * 4)):
        for name in ("LocumServiceDown", "LocumAddressUnheld", "LocumAddressHeldTwice", "LocumNotReached"):
            about = host.name if name == "LocumServiceDown" else None
            stage.chain.deliver(stage.chain.alert((name, about), "firing"), number * of.amount)
    yield

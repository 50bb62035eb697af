"""Everything that runs for one reading of the site file: gates, observer, and a worker per service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from locum_actuator.domain.mirror_run import Mirrors
from locum_actuator.domain.ports import Gates
from locum_actuator.engine.context import Context, SituationObserver
from locum_actuator.engine.succession import Succession, shared
from locum_actuator.engine.worker import Worker
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from locum_actuator.observation.loss_history import LossHistory
from locum_actuator.observation.starts import Starts
from locum_actuator.observation.storm import StormDetector
from locum_actuator.system import runtime
from locum_actuator.system.background import Health
from locum_inventory.site.model import Service, Site


class ClosableGates(Gates, Protocol):
    """The gates by host, which can be closed together."""

    def close(self) -> None:
        """Close every connection."""


class ClosableObserver(SituationObserver, Protocol):
    """An observer that keeps threads and sockets."""

    def close(self) -> None:
        """Stop the threads and close the sockets."""


@dataclass(frozen=True, slots=True)
class SiteRuntime:
    """Everything that runs for one reading of the site file."""

    site: Site
    gates: ClosableGates
    observer: ClosableObserver
    workers: Mapping[str, Worker]

    def end(self) -> None:
        """Ask the workers to end, each between two checks or after its current plan."""
        for worker in self.workers.values():
            worker.end()

    def join(self, seconds: float | None = None) -> None:
        """Wait until all have ended, then close gates and observer."""
        deadline = None if seconds is None else runtime.monotonic() + seconds
        for worker in self.workers.values():
            if worker.is_alive():
                worker.join(None if deadline is None else max(0.0, deadline - runtime.monotonic()))
        self.gates.close()
        self.observer.close()


@dataclass(frozen=True, slots=True)
class RuntimeFactory:
    """What every reading of the site file shares, and how its gates and its observer are made."""

    journal: Journal
    metrics: Metrics
    make_gates: Callable[[Site], ClosableGates]
    make_observer: Callable[[Site, ClosableGates], ClosableObserver]
    mirrors: Mirrors
    health: Health
    storm: StormDetector

    def make(self, site: Site, before: Sequence[Worker]) -> SiteRuntime:
        """Return what runs for a site, not started yet; its workers wait for those of `before`, newest last."""
        succession = Succession(self.journal)
        with ExitStack() as on_failure:  # a reload that fails leaves no thread and no connection behind
            gates = self.make_gates(site)
            on_failure.callback(gates.close)
            observer = self.make_observer(site, gates)
            on_failure.callback(observer.close)
            workers = {
                name: Worker(
                    Context(
                        site,
                        name,
                        self.journal,
                        self.metrics,
                        gates,
                        observer,
                        self.storm,
                        _signs_after(before, name, service),
                        _starts_after(before, name, service),
                        mirrors=self.mirrors,
                    ),
                    after=[worker for worker in before if _was_at_work_for(worker, name, service)],
                    health=self.health,
                    succession=succession,
                )
                for name, service in site.services.items()
            }
            on_failure.pop_all()
        return SiteRuntime(site, gates, observer, workers)


def _last_of(before: Sequence[Worker], name: str) -> Context | None:
    """Return the context of the last worker of a service; `before` lists the newest last."""
    return next((worker.context for worker in reversed(before) if worker.context.name == name), None)


def _signs_after(before: Sequence[Worker], name: str, service: Service) -> LossHistory:
    """Return the loss history that a service's new worker continues with, so that a reload loses no evidence."""
    last = _last_of(before, name)
    if last is None:
        return LossHistory()
    was = last.service
    return last.loss_history.heir(same_way=(was.addresses, was.checks) == (service.addresses, service.checks))


def _starts_after(before: Sequence[Worker], name: str, service: Service) -> Starts:
    """Return the starts that a service's new worker continues with."""
    last = _last_of(before, name)
    return last.starts if last is not None and last.service.checks == service.checks else Starts()


def _was_at_work_for(worker: Worker, name: str, service: Service) -> bool:
    """Return whether a worker handled a service, or one of its addresses under any name."""
    return worker.context.name == name or shared(worker.context.service, service) > 0

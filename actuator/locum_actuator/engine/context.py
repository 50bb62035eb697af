"""Bundle what is needed to handle one service: site, journal, metrics, gates and observer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from locum_actuator.decision.brakes import STORM_HOLDERS, moves
from locum_actuator.decision.failover import decide
from locum_actuator.decision.vetoes import fenced
from locum_actuator.domain import patience
from locum_actuator.domain.life import NO_LIFE, Life
from locum_actuator.domain.mirror_run import Mirrors, NoMirrors
from locum_actuator.domain.plan import Plan
from locum_actuator.domain.ports import Gates, Observer
from locum_actuator.domain.situation import CheckOutcome, HostView, Memory, Situation
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.pauses import Pause
from locum_actuator.metrics import Metrics
from locum_actuator.mirror.freshness import copies
from locum_actuator.observation.loss_history import LossHistory
from locum_actuator.observation.other_holders import silent_ones
from locum_actuator.observation.starts import Starts
from locum_actuator.observation.storm import StormDetector
from locum_actuator.steps.base import StepContext
from locum_actuator.system.local_time import local_time
from locum_exporter.result import Outcome as Found
from locum_inventory.site.model import Service, Site

HOUR_SECONDS = 3600.0


class SituationObserver(Observer, Protocol):
    """The checks that an incident needs."""

    def situation(self, service: str) -> Situation:
        """Run all checks of a service at the same time."""

    def life(self, service: str, host: str, *, pinged: bool) -> Life:
        """Check a host once more before it is switched off, including the other services on it."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything needed to handle one service."""

    site: Site
    name: str
    journal: Journal
    metrics: Metrics
    gates: Gates
    observer: SituationObserver
    storm: StormDetector = field(default_factory=StormDetector)  # one for all services
    loss_history: LossHistory = field(default_factory=LossHistory)
    starts: Starts = field(default_factory=Starts)
    mirrors: Mirrors = field(default_factory=NoMirrors)

    @property
    def service(self) -> Service:
        """The service's values."""
        return self.site.services[self.name]

    def for_steps(self, epoch: int, old_holder: str | None, reason: str) -> StepContext:
        """Return what steps need for one plan; they do not reach the journal or the metrics."""
        return StepContext(
            site=self.site,
            name=self.name,
            gates=self.gates,
            observer=self.observer,
            epoch=epoch,
            old_holder=old_holder,
            reason=reason,
            mirrors=self.mirrors,
            starts=self.starts,
        )

    def memory(
        self,
        tried: frozenset[str] = frozenset(),
        returned: frozenset[str] = frozenset(),
        *,
        left_over: bool = False,
        unconfirmed: frozenset[str] | None = None,
    ) -> Memory:
        """Return what the journal remembers of the service."""
        known, now = self.journal.holder(self.name), self.journal.clock.now()
        last, pause = self.journal.counts.last_takeover(self.name), self.journal.pauses.current(self.name)
        failing, unseen = self.storm.near(self.name)
        holders = self.journal.holders()
        return Memory(
            # A holder that the site file no longer lists cannot be judged.
            holder=known.host if known.host in self.service.hosts else None,
            epoch=known.epoch,
            takeovers_last_hour=self.journal.counts.takeovers_since(self.name, now - HOUR_SECONDS),
            tried=tried,
            returned=returned,
            unconfirmed=self.journal.unconfirmed(self.name) if unconfirmed is None else unconfirmed,
            left_over=left_over,
            respawns_last_hour=self.journal.counts.respawns_since(self.name, now - HOUR_SECONDS),
            seconds_since_takeover=None if last is None else max(0.0, now - last),
            doubted=self.loss_history.doubted(),
            starting=self.starts.starting(patience.start_seconds(self.service)),
            reached=self.loss_history.reached(),
            paused=None if pause is None else _until(pause),
            copies=copies(self.journal.mirrors, self.name, self.service, known.host, now),
            holding_hosts=len({host for name, host in holders.items() if name in self.site.services}),
            failing_elsewhere=failing,
            unseen_elsewhere=unseen,
        )

    def decide(
        self, situation: Situation, memory: Memory, elsewhere: Callable[[Memory], frozenset[str]]
    ) -> Plan:
        """Decide; before a move, `elsewhere` returns further holder hosts that are failing."""
        situation = self.asked_once_more(situation, memory)
        plan = decide(situation, memory, self.service)
        if not (plan.acts and moves(plan, memory)):
            return plan
        failing = memory.failing_elsewhere | elsewhere(memory)
        return decide(situation, replace(memory, failing_elsewhere=failing), self.service)

    def asked_once_more(self, situation: Situation, memory: Memory) -> Situation:
        """Return the situation with a last check of each host that would be switched off."""
        for host in fenced(decide(situation, memory, self.service)):
            view = situation.hosts[host]
            life = self.observer.life(self.name, host, pinged=view.echoes_received > 0)
            if life != NO_LIFE:
                heard = {**situation.hosts, host: _with_life(view, life, self.name, self.site.actuator.host)}
                situation = replace(situation, hosts=heard)
        return situation

    def silent_elsewhere(self, memory: Memory) -> frozenset[str]:
        """Check the hosts that hold other services; return the silent ones, or none if no brake depends on it."""
        if self.service.takeover.when_storm != "refuse" or memory.holding_hosts < STORM_HOLDERS:
            return frozenset()
        holders = {host for name, host in self.journal.holders().items() if name in self.site.services}
        not_asked = {memory.holder, self.site.actuator.host} | self.storm.known()
        return silent_ones(holders - not_asked, self.observer, self.gates)

    def update_starting_metric(self) -> None:
        """Update the metric that shows on which hosts the service is starting."""
        starting = self.starts.starting(math.inf)
        for host in self.service.hosts:
            self.metrics.starting.labels(self.name, host).set(host in starting)

    def update_holder_metric(self) -> None:
        """Update the metric of the holder from the journal."""
        known = self.journal.holder(self.name)
        self.metrics.set_holder(self.name, self.service.hosts, known.host, known.epoch)


def _with_life(view: HostView, life: Life, service: str, vantage_point: str) -> HostView:
    """Return a host's view with the results of the last check before it would be switched off."""
    if service not in life.services:
        return replace(view, life=life)
    # The service itself answers again: a check like any other, and a newer one.
    answered = CheckOutcome(vantage_point, Found.WELL, "it answered when it was checked once more")
    others = tuple(name for name in life.services if name != service)
    return replace(view, life=replace(life, services=others), looks=(*view.looks, answered))


def _until(pause: Pause) -> str:
    return f"until {local_time(pause.until)} ({pause.reason})"

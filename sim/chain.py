"""Exporters, Prometheus and Alertmanager at their protocols: who fails is asked, and alerts reach the webhook."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

from locum_actuator.domain.alerts import Alert
from locum_actuator.system import runtime
from sim.actuator import Actuator
from sim.world import World

SCRAPE_SECONDS = 0.25
FAILED_SAMPLES = 2  # before the rule fires
REPEAT_SECONDS = 5.0
Key = tuple[str, str | None]  # the alert's name, and the host that it names


@dataclass(slots=True)
class Chain:
    """One service's alerts. Prometheus and Alertmanager run on the actuator's host."""

    world: World
    actuator: Actuator
    service: str
    vantage_points: tuple[str, ...]
    chance: random.Random
    prometheus_dead: bool = False
    alertmanager_dead: bool = False
    silenced: bool = False  # a person has silenced what wakes locum
    late_seconds: float = 0.0
    loses: float = 0.0  # the part of the webhooks that is lost
    duplicates: bool = False
    _failing: dict[Key, int] = field(default_factory=dict)
    _sent_at: dict[Key, float] = field(default_factory=dict)
    _count: int = 0

    def run(self, ended: runtime.Event) -> None:
        """Scrape, evaluate and notify until the end."""
        home = self.world.hosts[self.world.home]
        while not ended.wait(SCRAPE_SECONDS):
            if self.prometheus_dead or not home.runs:
                continue
            for key, failing in self._samples().items():
                before = self._failing.get(key, 0)
                self._failing[key] = before + 1 if failing else 0
                if not failing and before >= FAILED_SAMPLES:
                    self._send(key, "resolved")
                elif self._failing[key] >= FAILED_SAMPLES and self._is_due(key):
                    self._send(key, "firing")

    def _samples(self) -> dict[Key, bool]:
        """Return what fails, by alert, from the exporters that can be asked."""
        holders = list(self.world.answering(self.world.home))
        samples: dict[Key, bool] = {
            ("LocumAddressUnheld", None): not holders,
            ("LocumAddressHeldTwice", None): len(holders) + self.world.wire.stranger > 1,
        }
        # The rule fires for the host that is the holder: a standby's service need not run.
        for host in holders:
            votes = [self._fails(point, host) for point in self._voters(host)]
            samples["LocumServiceDown", host] = bool(votes) and sum(votes) * 2 > len(votes)
        return samples

    def _voters(self, host: str) -> list[str]:
        """Return the vantage points that can be asked about a host; it is not asked about itself."""
        others = [name for name in self.vantage_points if name != host] or list(self.vantage_points)
        return [
            name
            for name in others
            if self.world.hosts[name].runs
            and self.world.hosts[name].exporter in {"well", "no_rights"}
            and self.world.wire.reaches_repeated(self.world.home, name)
        ]

    def _fails(self, point: str, host: str) -> bool:
        there = self.world.hosts[host]
        well = there.service == "well" and there.runs and not there.check_dropped
        return not (well and self.world.wire.reaches_repeated(point, host))

    def _is_due(self, key: Key) -> bool:
        now = self.world.now
        return self._failing[key] == FAILED_SAMPLES or now - self._sent_at.get(key, now) >= REPEAT_SECONDS

    def _send(self, key: Key, status: Literal["firing", "resolved"]) -> None:
        """Send one webhook, late by as much as evaluation and grouping take."""
        self._sent_at[key] = self.world.now
        if self.alertmanager_dead or self.silenced:
            return
        for _ in range(2 if self.duplicates else 1):
            if self.chance.random() >= self.loses:
                late = self.chance.uniform(0.02, 0.3) + self.chance.uniform(0.0, self.late_seconds)
                self.deliver(self.alert(key, status), late)

    def alert(self, key: Key, status: Literal["firing", "resolved"]) -> Alert:
        """Return an alert; each has a beginning of its own, so that it can be found in the journal."""
        self._count += 1
        name, host = key
        return Alert(name, status, self.service, host, f"alert {self._count}", f"{name}-{host}")

    def deliver(self, alert: Alert, late_seconds: float) -> None:
        """Have an alert reach the webhook after a while."""

        def deliver() -> None:
            if self.world.hosts[self.world.home].runs and self.actuator.post((alert,)):
                self.world.happened(f"{alert.name} ({alert.status}) is accepted", alert.host)

        self.world.later(late_seconds, deliver, name="webhook")

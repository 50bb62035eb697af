"""Exporters, Prometheus and Alertmanager at their protocols: who fails is asked, and alerts reach the webhook."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from locum_actuator.domain.alerts import Alert
from locum_actuator.engine.engine import Engine
from locum_actuator.journal.database import JournalError
from locum_actuator.system import runtime
from sim.observer import SimulatedObserver
from sim.world import World

SCRAPE_SECONDS = 0.25
FAILED_SAMPLES = 2  # before the rule fires
REPEAT_SECONDS = 5.0


@dataclass(slots=True)
class Chain:
    """One service's alerts, from the checks of the actuator's host."""

    world: World
    observer: SimulatedObserver
    engine: Engine
    service: str
    chance: random.Random
    dead: bool = False  # no alert comes at all
    _failing: dict[tuple[str, str | None], int] = field(default_factory=dict)
    _sent_at: dict[tuple[str, str | None], float] = field(default_factory=dict)

    def run(self, ended: runtime.Event) -> None:
        """Scrape, evaluate and notify until the end."""
        while not ended.wait(SCRAPE_SECONDS):
            if self.dead:
                continue
            home = self.world.home
            holders = list(self.world.answering(home))
            samples: dict[tuple[str, str | None], bool] = {
                ("LocumAddressUnheld", None): not holders,
                ("LocumAddressHeldTwice", None): len(holders) > 1,
            }
            # The rule fires for the host that is the holder: a standby's service need not run.
            for host in holders:
                down = self.world.hosts[host].service != "well" or not self.world.reaches_repeated(home, host)
                samples["LocumServiceDown", host] = down
            for key, failing in samples.items():
                self._failing[key] = self._failing.get(key, 0) + 1 if failing else 0
                if self._failing[key] >= FAILED_SAMPLES and self._is_due(key):
                    self._send(key)

    def _is_due(self, key: tuple[str, str | None]) -> bool:
        now = runtime.monotonic()
        return self._failing[key] == FAILED_SAMPLES or now - self._sent_at.get(key, now) >= REPEAT_SECONDS

    def _send(self, key: tuple[str, str | None]) -> None:
        """Send one webhook, late by as much as evaluation and grouping take."""
        self._sent_at[key] = runtime.monotonic()
        name, host = key
        alert = Alert(name, "firing", self.service, host, None, f"{name}-{host}")

        def deliver() -> None:
            runtime.sleep(self.chance.uniform(0.02, 0.3))
            try:
                self.engine.accept((alert,))
            except JournalError:
                return
            self.world.happened(f"{name} is accepted", host)

        runtime.thread(deliver, name="webhook").start()

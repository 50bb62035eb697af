"""The promises that are kept within a time: a reason for each outage, service again, and one holder again."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.actuator import Actuator
from sim.evidence import Evidence
from sim.profiles import Profile
from sim.world import World

REASON_SECONDS = 15.0  # a service that is down has an open incident within this time
LEFT_DOWN_SECONDS = 75.0  # a service that could be served is served again within this time
SOON_SECONDS = 25.0  # … or within this one, if no attempt has failed that is not repeated at once
FAILED_SECONDS = 120.0  # for so long an attempt that failed may be why the next one waits
RESOLVED_SECONDS = 25.0  # two holders are one again within this time


@dataclass(slots=True)
class Timers:
    """Since when each promise has been waited for, while nothing stands in the way of keeping it."""

    world: World
    profile: Profile
    actuator: Actuator
    evidence: Evidence
    _since: dict[str, float] = field(default_factory=dict)

    def note(self) -> None:
        """End a time without service as soon as there is service: it need not last until the next look."""
        if not self._is_down():
            self._since.pop("reason", None)

    def broken(self) -> str | None:
        """Return the first promise that was not kept in time."""
        hosts = self.world.hosts
        holding = [name for name, host in hosts.items() if host.has_address and host.is_heard]
        works = self._actuator_works()
        if (
            self._lasts("reason", self._is_down() and works) > REASON_SECONDS
            and not self._has_open_incident()
        ):
            return (
                f"the service has been down for {self._lasts('reason', True):.0f} s without an open incident"
            )
        unreached = bool(holding) and all(self.evidence.unreached_for(name) > 0 for name in holding)
        if self._lasts("unreached", works and unreached) > REASON_SECONDS and not self._has_open_incident():
            who = " and ".join(holding)
            return f"clients have not reached {who} for {REASON_SECONDS:.0f} s without an open incident"
        served = any(hosts[name].serves for name in holding)
        could = works and (not served or len(holding) > 1) and self._all_is_well()
        if self._lasts("served", could and not served) > LEFT_DOWN_SECONDS:
            return f"the service has been down for {LEFT_DOWN_SECONDS:.0f} s, and every host could serve"
        nothing_failed = self.world.now - self.world.step_failed_at > FAILED_SECONDS
        if self._lasts("soon", could and not served and nothing_failed) > SOON_SECONDS:
            return (
                f"the service has been down for {SOON_SECONDS:.0f} s, all could serve, and no step had failed"
            )
        if self._lasts("two", could and len(holding) > 1) > RESOLVED_SECONDS:
            return f"{' and '.join(holding)} have had the address for {RESOLVED_SECONDS:.0f} s"
        return None

    def _is_down(self) -> bool:
        return not any(host.offers_service for host in self.world.hosts.values())

    def _lasts(self, what: str, holds: bool) -> float:
        if not holds:
            self._since.pop(what, None)
            return 0.0
        return self.world.now - self._since.setdefault(what, self.world.now)

    def _actuator_works(self) -> bool:
        """Return whether the actuator runs and its disk takes what it writes."""
        disk, actuator = self.actuator.disk, self.actuator
        return (
            actuator.engine is not None
            and disk.fault is None
            and disk.commit_seconds < 0.2
            and self._runs()
            and not self.world.hosts[self.world.home].busy
        )

    def _runs(self) -> bool:
        process = self.actuator.process
        return process is not None and not process.stopped and self.world.hosts[self.world.home].runs

    def _all_is_well(self) -> bool:
        """Return whether nothing keeps any host from serving, and nothing keeps locum from acting."""
        wire = self.world.wire
        if wire.severed or wire.witness_dead or wire.stranger:
            return False
        able = all(
            host.runs
            and not (
                host.cut or host.loses or host.delay_seconds or host.check_dropped or host.through_dropped
            )
            and not (host.start_fails or host.answers_wrongly or host.gate_gone or host.read_only)
            and host.dies_after is None
            and host.start_seconds < 1.0
            and host.stop_seconds < 1.0
            for host in self.world.hosts.values()
        )
        return able and not self._is_paused()

    def _is_paused(self) -> bool:
        service = self.actuator.service
        return self.actuator.ask(lambda engine: engine.journal.pauses.current(service) is None) is not True

    def _has_open_incident(self) -> bool:
        return self.actuator.ask(lambda engine: bool(engine.journal.open_incidents())) is not False

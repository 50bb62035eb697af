"""Run the mirrors of all services: one run per service at a time, never onto the holder."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from locum_actuator.domain.mirror_run import (
    NO_WISH,
    Divergence,
    MirrorError,
    MirrorResult,
    Outcome,
    RunOptions,
)
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.journal.mirror_runs import Run
from locum_actuator.mirror.copy_state import Copies
from locum_actuator.mirror.freshness import copy_on
from locum_actuator.mirror.gate_commands import GateCommands
from locum_actuator.mirror.run import MirrorRun
from locum_actuator.system.site_commands import CommandError, holder_by_command
from locum_inventory.site.model import Site

log = logging.getLogger(__name__)


@dataclass(slots=True)
class MirrorManager:
    """Run mirrors, and return the state of the copies."""

    site: Callable[[], Site]
    journal: Journal
    lines: Callable[[Site], GateCommands]
    on_end: Callable[[MirrorResult], None] = lambda _: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: dict[str, MirrorRun] = field(default_factory=dict)

    def is_configured(self, service: str) -> bool:
        """Return whether the site file has a mirror for the service."""
        return self.site().services[service].mirror is not None

    def under_way(self, service: str) -> MirrorRun | None:
        """Return the current run of a service, or None."""
        return self._under_way.get(service)

    def run(self, service: str, source: str, destination: str, wish: RunOptions = NO_WISH) -> MirrorResult:
        """Copy a service's directories from one host to another, and return the result."""
        begun, now = time.monotonic(), self.journal.clock.now()
        nothing = MirrorResult(service, source, destination, 0, "refused", "", now, 0.0)
        try:
            nothing = replace(nothing, run=self._next_run(service))
            with self._alone(MirrorRun(nothing, wish)) as run:
                result = self._written_down(run)
        except MirrorError as fault:
            result = replace(nothing, text=str(fault))
        except JournalError as fault:
            result = replace(nothing, text=f"no run is started while the journal cannot be written: {fault}")
        result = replace(result, seconds=time.monotonic() - begun)
        log.log(
            logging.INFO if result.done else logging.WARNING,
            "mirror from %s to %s: %s: %s",
            source,
            destination,
            result.outcome,
            result.text,
            extra={
                "event": "mirror_run",
                "service": service,
                "run": result.run or None,
                "host": destination,
                "outcome": result.outcome,
                "seconds": round(result.seconds, 3),
            },
        )
        self.on_end(result)
        return result

    def cancel_all(self, why: str) -> None:
        """Cancel every current run."""
        for run in list(self._under_way.values()):
            run.cancel(why)

    def halt(self, service: str, host: str) -> bool:
        """Stop a run that writes on a host; return whether it is certain that none writes there now.

        The host's gate is asked only if an earlier run may still write there, because a takeover must not wait.
        """
        if not self.is_configured(service):
            return True
        run = self._under_way.get(service)
        if run is not None:
            run.cancel(f"cancelled: {host} takes over {service}")
        wrote = self.journal.mirrors.last_that_wrote(service, host)
        if wrote is None or wrote.outcome == "done":
            return True
        try:
            self.copies(service).halt(host)
        except MirrorError as fault:
            log.warning(
                "cannot determine whether a mirror run still writes on %s: %s",
                host,
                fault,
                extra={"event": "mirror_not_known", "service": service, "host": host},
            )
            return False
        return True

    def divergence(self, service: str, one: str, other: str) -> Divergence:
        """Return what two hosts changed since they last had the same data; raises `MirrorError`."""
        common = self.journal.mirrors.last_common(service, one, other)
        if common is None:
            raise MirrorError(
                f"the journal does not show when {one} and {other} last had the same data of {service}"
            )
        copies = self.copies(service)
        return Divergence(common.run, copies.changes(one, common.run), copies.changes(other, common.run))

    def data_age_seconds(self, service: str, host: str) -> float | None:
        """Return the age of a host's data: 0 on the holder, None if incomplete or never mirrored."""
        mirror = self.site().services[service].mirror
        if self.journal.holder(service).host == host:
            return 0.0
        if mirror is None:
            return None
        return copy_on(self.journal.mirrors, service, mirror, host, self.journal.clock.now()).age_seconds

    def copies(self, service: str) -> Copies:
        """Return an object that asks the hosts about their copies."""
        return Copies(self.lines(self.site()), service, self.journal.holder(service).epoch)

    def mark(self, service: str) -> list[str]:
        """Make each host record that its directories are the right ones; raises `MirrorError`."""
        holder = self.journal.holder(service).host
        return self.copies(service).mark(holder or self.site().services[service].preferred)

    def restore(self, service: str, host: str, run: int) -> list[str]:
        """Restore what a run deleted or overwrote, on a host that is not the holder; raises `MirrorError`."""
        self._refuse_to_write(service, host)
        nothing = MirrorResult(service, host, host, run, "refused", "", self.journal.clock.now(), 0.0)
        with self._alone(MirrorRun(nothing, NO_WISH)):
            return self.copies(service).restore(host, run)

    def settle(self) -> None:
        """Find out how runs ended that were interrupted by a stop of the actuator; unknown ones stay open."""
        for entry in self.journal.mirrors.unfinished():
            run = self._under_way.get(entry.service)
            if run is not None and run.nothing.run == entry.run:
                continue
            outcome = self._outcome_of(entry)
            if outcome is None:
                continue
            text = (
                "ended while no actuator ran"
                if outcome == "done"
                else "interrupted by a stop of the actuator"
            )
            result = MirrorResult(
                entry.service,
                entry.source,
                entry.destination,
                entry.run,
                outcome,
                text,
                entry.started_at,
                0.0,
            )
            self.journal.mirrors.end(entry.id, result, self.journal.clock.now())
            log.warning(
                "mirror run %d: %s: %s",
                entry.run,
                outcome,
                text,
                extra={
                    "event": "mirror_settled",
                    "service": entry.service,
                    "run": entry.run,
                    "host": entry.destination,
                    "outcome": outcome,
                },
            )

    def _written_down(self, run: MirrorRun) -> MirrorResult:
        nothing, ledger = run.nothing, self.journal.mirrors
        service, source, destination = nothing.service, nothing.source, nothing.destination
        common = ledger.last_common(service, source, destination)
        entry = ledger.begin(service, source, destination, nothing.run, nothing.started_at)
        result = replace(nothing, outcome="failed", text="internal error")
        try:
            self._refuse(service, source, destination)
            result = run.copy(self.copies(service), common.run if common is not None else 0)
        except MirrorError as fault:
            result = replace(nothing, text=str(fault))
        finally:
            ledger.end(entry, result, self.journal.clock.now())
        return result

    def _refuse(self, service: str, source: str, destination: str) -> None:
        """Raise `MirrorError` if mirroring from one host to another is not allowed."""
        values = self.site().services.get(service)
        if values is None or values.mirror is None:
            raise MirrorError(f"the site file has no mirror for {service}")
        for host in (source, destination):
            if host not in values.hosts:
                raise MirrorError(f"{host} is not a host of {service}")
        if source == destination:
            raise MirrorError(f"{source} cannot be mirrored onto itself")
        self._refuse_to_write(service, destination)

    def _refuse_to_write(self, service: str, host: str) -> None:
        """Raise `MirrorError` if a host holds the service, or if that cannot be determined."""
        values = self.site().services[service]
        holders = {self.journal.holder(service).host}
        if values.address_commands is not None:
            try:
                holders.add(holder_by_command(service, values))
            except CommandError as fault:
                raise MirrorError(f"cannot determine which host holds {service}: {fault}") from None
        if host in holders:
            raise MirrorError(f"{host} holds {service}; data is never mirrored onto the holder")

    def _outcome_of(self, entry: Run) -> Outcome | None:
        """Return how an unobserved run ended; None if that cannot be determined yet."""
        service = self.site().services.get(entry.service)
        if service is None or service.mirror is None or entry.destination not in service.hosts:
            return "failed"
        copies = self.copies(entry.service)
        states = [copies.state(entry.destination, number) for number, _ in copies.trees]
        known = [state for state in states if state is not None and state["writing"] == "no"]
        if len(known) < len(states):
            return None
        own = [state for state in known if state["run"] == str(entry.run)]
        if not own:
            return "refused"
        return (
            "done" if len(own) == len(known) and all(state["state"] == "whole" for state in own) else "failed"
        )

    def _next_run(self, service: str) -> int:
        now = int(time.strftime("%Y%m%d%H%M%S", time.gmtime(self.journal.clock.now())))
        return max(now, self.journal.mirrors.highest_run(service) + 1)

    @contextmanager
    def _alone(self, run: MirrorRun) -> Iterator[MirrorRun]:
        """Allow one run per service at a time; raise `MirrorError` for a second one."""
        service = run.nothing.service
        with self._lock:
            busy = self._under_way.setdefault(service, run)
        if busy is not run:
            what = f"from {busy.nothing.source} to {busy.nothing.destination}"
            raise MirrorError(f"another run of {service} is active, {what}")
        try:
            yield run
        finally:
            with self._lock:
                del self._under_way[service]

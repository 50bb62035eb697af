"""Walk round while all is well: who holds what, who could stand in, who has come back; and announce the address.

A patrol asks the gates, and runs the deciding checks on the holder. It is how a fault is noticed without any alert:
an address that was taken off by hand, a host that returns with it, and a service that does not answer while a part
of the chain is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from locum_actuator.decision.fitness import why_unfit
from locum_actuator.decision.standby_checklist import Item, LastPatrol, checklist
from locum_actuator.domain.reach import Reach
from locum_actuator.engine.context import Context
from locum_actuator.engine.own_checks import Failing, OwnChecks
from locum_actuator.system import runtime
from locum_actuator.system.announce import announce
from locum_actuator.system.local_time import local_time
from locum_actuator.system.site_commands import CommandError, holder_by_command
from locum_inventory.gate.protocol import GateError, ServiceStatus

log = logging.getLogger(__name__)

CALM_SECONDS = 5.0  # between two rounds while every host answers
WARY_SECONDS = 1.0  # … while one does not: when it returns it must not keep what it should not have
WARY_FOR_SECONDS = (
    60.0  # … and so long after it did, or after an incident: a host that boots goes on doing so
)
ANNOUNCE_SECONDS = 60.0  # a lost announcement must not last for as long as an ARP cache
STATUS_SECONDS = 2.0
HURRY_SECONDS = 0.02  # an alert that comes during a round waits no longer than this


class _NotAsked(str):
    """Why a gate could not be asked by this host, which says nothing of the other."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason to look closer. `returned` are hosts that were silent and answer again."""

    reason: str
    returned: frozenset[str] = frozenset()


@dataclass(slots=True)
class Patrol:
    """The rounds of one service."""

    context: Context
    seen: dict[str, str] = field(default_factory=dict)  # what each host's gate said last, in words
    gates: dict[str, LastPatrol] = field(default_factory=dict)  # … and all of it
    standby_available: bool = True  # another host could take over from the holder
    checks: OwnChecks = field(init=False)
    _told_unfit: dict[str, str | None] = field(default_factory=dict)
    _silent: set[str] = field(default_factory=set)
    _wary_since: float = float("-inf")
    _announced: float = float("-inf")

    def __post_init__(self) -> None:
        context = self.context
        self.checks = OwnChecks(context.name, context.observer, context.starts.served, self._note_reach)

    def _note_reach(self, reach: Reach) -> None:
        self.context.loss_history.reached_by(reach)
        self.context.metrics.set_reached(self.context.name, reach.outcome)

    @property
    def missing(self) -> frozenset[str]:
        """Return the hosts whose gates were silent in the last round."""
        return frozenset(self._silent)

    @property
    def pause_seconds(self) -> float:
        """Return how long to wait before the next round."""
        wary = self._silent or runtime.monotonic() - self._wary_since < WARY_FOR_SECONDS
        return WARY_SECONDS if wary else CALM_SECONDS

    def checklists(self) -> dict[str, tuple[Item, ...]]:
        """Return of each host that does not hold the service what it lacks to be a standby."""
        context = self.context
        memory = context.memory()
        return {
            host: checklist(
                context.site,
                context.name,
                host,
                self.gates.get(host),
                memory.copies.get(host),
                unseen=context.journal.has_unseen_changes(context.name, host),
            )
            for host in context.service.hosts
            if host != memory.holder
        }

    def poll_faster(self, *, announce: bool = False, missing: frozenset[str] = frozenset()) -> None:
        """Walk round more often for a while; with `announce`, have the holder say at once whose the address is.

        That is for when it was in doubt: whoever believed another host must not do so for as long as an ARP cache.
        `missing` are hosts that an incident found silent: one may have crashed and booted between two rounds.
        """
        self._silent |= missing
        self.checks.be_due()
        self._wary_since = runtime.monotonic()
        if announce:
            self._announced = float("-inf")

    def round(self, wanted: Callable[[], bool] = lambda: False) -> Finding | None:
        """Ask every gate and run the deciding checks, all at once; return a reason to look closer, if there is one.

        A round is broken off, with no finding, as soon as `wanted` says that there is something to do: the gate
        of a host that just died answers nobody, and an alert must not wait for it.
        """
        context = self.context
        holder = context.memory().holder
        asked = self._ask_all(holder, wanted)
        if asked is None:
            return None
        answers, failing = asked
        if failing is not None and failing.everywhere:
            return Finding(f"patrol: {failing.text}")
        self.seen = {host: self._words(host, answer) for host, answer in answers.items()}
        heard = {host: answer for host, answer in answers.items() if isinstance(answer, ServiceStatus)}
        returned = self._silent & (heard.keys() - {holder})
        if self._silent & heard.keys():
            self.poll_faster()
        # One that could not be asked just now is as it was: neither gone nor back.
        unasked = {host for host, answer in answers.items() if isinstance(answer, _NotAsked)}
        self._silent = (answers.keys() - heard.keys() - unasked) | (self._silent & unasked)
        there = heard.keys() | (unasked - self._silent)
        self.standby_available = any(host != holder and self.why_unfit(host) is None for host in there)
        context.metrics.standby_available.labels(context.name).set(self.standby_available)
        self._tell_unfit()
        finding = _finding(holder, heard, returned) or self._moved(holder)
        if finding is None and failing is not None:
            finding = Finding(f"patrol: {failing.text}")
        if finding is None and holder in heard:
            self._announce(holder)
        return finding

    def why_unfit(self, host: str) -> str | None:
        """Return why a host cannot be given the service, by what its gate said in the last round."""
        gate = self.gates[host].gate if host in self.gates else None
        return None if gate is None else why_unfit(self.context.name, self.context.service, host, gate)

    def _tell_unfit(self) -> None:
        """Tell the metrics, and the log once, which hosts cannot be given the service."""
        context = self.context
        for host in context.service.hosts:
            why = self.why_unfit(host)
            context.metrics.unfit.labels(context.name, host).set(why is not None)
            if why is not None and self._told_unfit.get(host) != why:
                log.warning(
                    "%s cannot be given the service: %s", host, why, extra={"event": "unfit", "host": host}
                )
            self._told_unfit[host] = why

    def _words(self, host: str, answer: ServiceStatus | str) -> str:
        fenced = None if isinstance(answer, ServiceStatus) else self.context.journal.fenced(host)
        if fenced is None:
            why = None if isinstance(answer, str) else self.why_unfit(host)
            return _words(answer) if why is None else f"{_words(answer)}; cannot be given the service: {why}"
        at, seen = fenced
        return f"fenced {local_time(at)}: {seen} ({answer})"

    def _ask_all(
        self, holder: str | None, wanted: Callable[[], bool]
    ) -> tuple[dict[str, ServiceStatus | str], Failing | None] | None:
        """Return what each gate said and what failed on the holder; None where the round is broken off.

        A service that does not answer at all waits for no gate, whose deadline is long: the host may be dead.
        """
        hosts = self.context.service.hosts
        pool = ThreadPoolExecutor(len(hosts) + 1, thread_name_prefix=f"patrol-{self.context.name}")
        try:
            asked = {host: pool.submit(self._ask, host) for host in hosts}
            checked = pool.submit(lambda: None if holder is None else self.checks.run(holder))
            waited: list[Future[Any]] = [*asked.values(), checked]
            while wait(waited, timeout=HURRY_SECONDS).not_done:
                if checked.done() and (failing := checked.result()) is not None and failing.everywhere:
                    return {}, failing
                if wanted():
                    return None
            return {host: answer.result() for host, answer in asked.items()}, checked.result()
        finally:
            pool.shutdown(wait=False)  # what is still asked ends by its own deadline

    def _ask(self, host: str) -> ServiceStatus | str:
        name = self.context.name
        try:
            gate = self.context.gates[host].status(deadline_seconds=STATUS_SECONDS)
        except GateError as fault:
            if fault.reason == "busy":
                return _NotAsked(f"its gate could not be asked: {fault}")
            self.gates[host] = LastPatrol(None, str(fault), self._echoes(host))
            return f"gate silent: {fault}"
        self.gates[host] = LastPatrol(gate)
        status = gate.services.get(name)
        return status if status is not None else f"its gate does not know {name}: run locum enrol {host}"

    def _echoes(self, host: str) -> int | None:
        """Return how many echoes of a host came back, None where none could be sent; no round ends for that."""
        try:
            return self.context.observer.echoes(host)
        except Exception:
            log.warning("the round could not ping %s", host, exc_info=True, extra={"event": "not_looked"})
            return None

    def _moved(self, holder: str | None) -> Finding | None:
        """Where commands stand in for an address, ask whom the record names; no answer is no finding."""
        service = self.context.service
        if service.address_commands is None:
            return None
        try:
            named = holder_by_command(self.context.name, service)
        except CommandError as fault:
            log.warning("who holds it could not be asked: %s", fault, extra={"event": "holder_not_known"})
            return None
        return None if named == holder else Finding(f"patrol: the record names {named or 'nobody'}")

    def _announce(self, holder: str) -> None:
        """Have the holder say again whose the address is: here on the wire, elsewhere by a claim over its gate."""
        context, now = self.context, runtime.monotonic()
        if now - self._announced < ANNOUNCE_SECONDS or context.service.takeover.mode == "observe":
            return
        if context.service.address_commands is not None or context.journal.pause(context.name) is not None:
            return
        self._announced = now
        service = context.service
        try:
            if holder == context.site.actuator.host:
                announce(service.interface[holder], [address.ip for address in service.addresses])
            else:
                self._announce_there(holder)
        except (OSError, GateError) as fault:
            log.warning(
                "the address could not be announced again on %s: %s",
                holder,
                fault,
                extra={"event": "not_announced", "host": holder},
            )

    def _announce_there(self, holder: str) -> None:
        """Have a holder that said in this round that it holds the address announce it."""
        context, seen = self.context, self.gates[holder].gate
        if seen is None or seen.clock is None:
            return  # a gate of version 1 claims no more: `locum status` and the metrics say so
        good_until = seen.clock.answered_at + STATUS_SECONDS
        context.gates[holder].run_verb(
            "claim",
            context.name,
            context.journal.holder(context.name).epoch,
            deadline_seconds=STATUS_SECONDS,
            permit=seen.clock.permit(good_until, context.service.addresses),
        )


def _finding(holder: str | None, heard: dict[str, ServiceStatus], returned: set[str]) -> Finding | None:
    for host, status in heard.items():
        if host == holder and not all(status.held.values()):
            return Finding(f"patrol: {host} does not hold the address", frozenset(returned))
        if host != holder and any(status.held.values()):
            return Finding(f"patrol: {host} holds the address and is not the holder", frozenset(returned))
        if host != holder and status.unusable_addresses:
            found = f"patrol: {host} is not the holder and has the address, unused ({_why(status)})"
            return Finding(found, frozenset(returned))
    if returned:
        return Finding(f"patrol: {', '.join(sorted(returned))} answers again", frozenset(returned))
    return None


def _words(answer: ServiceStatus | str) -> str:
    if isinstance(answer, str):
        return answer
    held = "holds the address" if any(answer.held.values()) else "does not hold the address"
    if answer.unusable_addresses:
        held += f" (there, unused: {_why(answer)})"
    return held if answer.processes is None else f"{held}, {answer.processes} processes"


def _why(status: ServiceStatus) -> str:
    return ", ".join(f"{address} {why}" for address, why in status.unusable_addresses.items())

"""Patrol while all is well: check holders, standbys and returned hosts, and announce the address.

A patrol round asks the gates and runs the deciding checks on the holder. It detects faults without any alert: an
address that was removed by hand, a host that returns with it, and a service that does not answer while a part of
the monitoring chain is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

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
WARY_SECONDS = 1.0  # … while one does not: when it returns it must not keep the address or the service
WARY_FOR_SECONDS = (
    60.0  # … and for this long after it does, or after an incident: a booting host keeps changing
)
ANNOUNCE_SECONDS = 60.0  # a lost announcement must not last for as long as an ARP cache
STATUS_SECONDS = 2.0
HURRY_SECONDS = 0.02  # an alert that arrives during a round waits no longer than this


class _NotAsked(str):
    """The reason why this host could not ask a gate, which shows nothing about the other host."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason for an incident. `returned` are hosts that were silent and answer again."""

    reason: str
    returned: frozenset[str] = frozenset()


@dataclass(slots=True)
class Patrol:
    """The patrol rounds of one service."""

    context: Context
    seen: dict[str, str] = field(default_factory=dict)  # each gate's last answer, in words
    gates: dict[str, LastPatrol] = field(default_factory=dict)  # … and complete
    standby_available: bool = True  # another host could take over from the holder
    checks: OwnChecks = field(init=False)
    _logged_unfit: dict[str, str | None] = field(default_factory=dict)
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
        """Return the standby checklist of each host that does not hold the service."""
        context = self.context
        memory = context.memory()
        return {
            host: checklist(
                context.site,
                context.name,
                host,
                self.gates.get(host),
                memory.copies.get(host),
                unseen=context.journal.mirrors.has_unseen_changes(context.name, host),
            )
            for host in context.service.hosts
            if host != memory.holder
        }

    def poll_faster(self, *, announce: bool = False, missing: frozenset[str] = frozenset()) -> None:
        """Shorten the pause between rounds for a while; with `announce`, announce the address at once.

        Announcing is for addresses whose holder was in doubt: stale ARP entries must not last for minutes.
        `missing` are hosts that an incident found silent: one may have crashed and booted between two rounds.
        """
        self._silent |= missing
        self.checks.make_due()
        self._wary_since = runtime.monotonic()
        if announce:
            self._announced = float("-inf")

    def round(self, wanted: Callable[[], bool] = lambda: False) -> Finding | None:
        """Ask every gate and run the deciding checks at the same time; return a finding, if any.

        A round stops without a finding as soon as `wanted` returns True: the gate of a dead host does not answer,
        and an alert must not wait for it.
        """
        context = self.context
        holder = context.memory().holder
        asked = self._ask_all(holder, wanted)
        if asked is None:
            return None
        answers, failing = asked
        if failing is not None and failing.on_own_address:
            return Finding(f"patrol: {failing.text}")
        self.seen = {host: self._words(host, answer) for host, answer in answers.items()}
        heard = {host: answer for host, answer in answers.items() if isinstance(answer, ServiceStatus)}
        returned = self._silent & (heard.keys() - {holder})
        if self._silent & heard.keys():
            self.poll_faster()
        # A host that could not be asked keeps its state: it is neither gone nor back.
        unasked = {host for host, answer in answers.items() if isinstance(answer, _NotAsked)}
        self._silent = (answers.keys() - heard.keys() - unasked) | (self._silent & unasked)
        there = heard.keys() | (unasked - self._silent)
        self.standby_available = any(host != holder and self.why_unfit(host) is None for host in there)
        context.metrics.standby_available.labels(context.name).set(self.standby_available)
        self._report_unfit()
        finding = _finding(holder, heard, returned) or self._moved(holder)
        if finding is None and failing is not None:
            finding = Finding(f"patrol: {failing.text}")
        if finding is None and holder in heard:
            self._announce(holder)
        return finding

    def why_unfit(self, host: str) -> str | None:
        """Return why a host cannot be given the service, from its gate's answer in the last round."""
        gate = self.gates[host].gate if host in self.gates else None
        return None if gate is None else why_unfit(self.context.name, self.context.service, host, gate)

    def _report_unfit(self) -> None:
        """Update the metric of hosts that cannot be given the service, and log each change once."""
        context = self.context
        for host in context.service.hosts:
            why = self.why_unfit(host)
            context.metrics.unfit.labels(context.name, host).set(why is not None)
            if why is not None and self._logged_unfit.get(host) != why:
                log.warning(
                    "%s cannot be given the service: %s", host, why, extra={"event": "unfit", "host": host}
                )
            self._logged_unfit[host] = why

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
        """Return each gate's answer and the failure on the holder; None if the round was stopped.

        If the service does not answer at all, the gates are not waited for: their deadline is long.
        """
        hosts = self.context.service.hosts
        pool = runtime.pool(len(hosts) + 1, name=f"patrol-{self.context.name}")
        try:
            asked = {host: pool.submit(self._ask, host) for host in hosts}
            checked = pool.submit(lambda: None if holder is None else self.checks.run(holder))
            while not runtime.all_done([*asked.values(), checked], HURRY_SECONDS):
                if checked.done() and (failing := checked.result()) is not None and failing.on_own_address:
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
        """Return how many echoes of a host came back; None if none could be sent. Does not raise."""
        try:
            return self.context.observer.echoes(host)
        except Exception:
            log.warning(
                "the patrol round could not ping %s", host, exc_info=True, extra={"event": "not_looked"}
            )
            return None

    def _moved(self, holder: str | None) -> Finding | None:
        """With address commands, check which host the record names; no answer is no finding."""
        service = self.context.service
        if service.address_commands is None:
            return None
        try:
            named = holder_by_command(self.context.name, service)
        except CommandError as fault:
            log.warning(
                "it could not be checked which host holds it: %s", fault, extra={"event": "holder_not_known"}
            )
            return None
        return None if named == holder else Finding(f"patrol: the record names {named or 'no host'}")

    def _announce(self, holder: str) -> None:
        """Announce the address again: directly from this host, or from another by a claim over its gate."""
        context, now = self.context, runtime.monotonic()
        if now - self._announced < ANNOUNCE_SECONDS or context.service.takeover.mode == "observe":
            return
        if (
            context.service.address_commands is not None
            or context.journal.pauses.current(context.name) is not None
        ):
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
        """Make a holder announce the address, if its gate reported in this round that it holds it."""
        context, seen = self.context, self.gates[holder].gate
        if seen is None or seen.clock is None:
            return  # a gate of version 1 no longer claims; `locum status` and the metrics report it
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

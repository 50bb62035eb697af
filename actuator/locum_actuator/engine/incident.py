"""Handle one incident: check, decide and act until the service is well or nothing is left to do.

While an incident is open the actuator keeps checking; it does not wait for repeated alerts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import InitVar, asdict, dataclass, field, replace

from locum_actuator.decision.epochs import highest_epoch
from locum_actuator.decision.failover import is_candidate
from locum_actuator.decision.silent_hosts import need_silence_elsewhere, silent_hosts
from locum_actuator.decision.unreached import ANNOUNCED, MOVED
from locum_actuator.decision.vetoes import has_let_go, unable_to_judge
from locum_actuator.domain import patience
from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.reach import NOT_PROVEN
from locum_actuator.domain.situation import WRONG_ANSWERS, Memory, Situation
from locum_actuator.engine.context import Context
from locum_actuator.engine.strategy import Ending, FaultStrategy, Strategy
from locum_actuator.journal.brake_counts import Counted
from locum_actuator.journal.database import JournalError
from locum_actuator.mirror.freshness import copies
from locum_actuator.observation.service_check import look_seconds
from locum_actuator.observation.storm import NEAR_SECONDS
from locum_actuator.steps.plan_evidence import PlanEvidence
from locum_actuator.steps.runner import Outcome, Sequence
from locum_actuator.system import runtime
from locum_exporter.result import Outcome as Found

log = logging.getLogger(__name__)

KEEP_LOOKING_SECONDS = 0.1  # between two checks while the evidence is mixed
WAITING_SECONDS = 1.0  # between two checks after a refusal, or in observe mode: the situation may change
# How long to wait for a vantage point that could not check a silent host before judging without it: restarting an
# exporter takes a few seconds.
OTHERS_SECONDS = 5.0
TRY_AGAIN_SECONDS = 30.0  # after this a failed plan may be tried again
ANNOUNCE_AGAIN_SECONDS = 600.0  # until an unreached holder announces the address again
MOVE_AGAIN_SECONDS = 60.0  # on top of the cooldown, until an unproven service is moved again
MIXED_TOO_LONG_SECONDS = 30.0  # after this people are notified that the evidence stays mixed
MOST_IN_VAIN = 3  # how often a plan may move something and undo it because a check then fails
SAY_EVERY_SECONDS = 10.0  # between two messages that a service is still starting
HOUR_SECONDS = 3600.0

# Plans and outcomes that are logged as INFO: nothing is wrong, or a person requested it.
_QUIET = frozenset({"nothing", "adopt", "keep_looking", "switchover", "failback", "already"})


@dataclass(slots=True)
class Incident:
    """One fault of one service, from its trigger to the last step."""

    context: Context
    number: int
    returned: frozenset[str] = frozenset()  # hosts that were silent and answer again
    left_over: bool = False  # a plan was interrupted: a standby may still run what it started there
    strategy: InitVar[Strategy | None] = None  # None: it is a fault
    silent: set[str] = field(default_factory=set)  # hosts whose gate did not answer in one of its checks
    last_look: Situation | None = None
    doubtful: bool = False  # at least once it was not clear that the holder alone has the address
    opened: float = field(default_factory=runtime.monotonic)
    last_progress_at: float = field(default_factory=runtime.monotonic)  # when its last check began
    _strategy: Strategy = field(init=False)
    _tried: dict[str, float] = field(default_factory=dict)
    _noted: str = ""
    _noted_mixed: bool = False
    _said_at: float = field(default_factory=runtime.monotonic)  # when progress was last reported
    # Hosts whose start took too long and still runs, since when.
    _slow: dict[str, float] = field(default_factory=dict)
    _same_answer: set[str] = field(default_factory=set)  # hosts that were started and answered wrongly too
    # Hosts that got the service back because a plan failed.
    _given_back: set[str] = field(default_factory=set)
    _alone_since: float | None = None  # since when no other vantage point can check a silent host
    _vain: int = 0  # how often something moved before a check that failed
    # Hosts that may still hold the address; None: read the journal.
    _unconfirmed: frozenset[str] | None = None
    _unproven: Plan | None = None  # a plan that was completed, but whose proof failed
    # Vantage points that got no answer through the service address when they could last check.
    _unreached_from: frozenset[str] = frozenset()
    _announced_at: float = float("-inf")  # when an unreached holder was last made to announce the address
    # When a takeover ended unproven, or ended that moved an unreached service.
    _moved_at: float = float("-inf")

    def __post_init__(self, strategy: Strategy | None) -> None:
        self._strategy = strategy or FaultStrategy(self.context, self.number)

    def handle(self, ended: runtime.Event) -> None:
        """Check, decide and act until the incident is closed; if `ended` is set it stays open."""
        interrupted = self.context.journal.interrupted_step(self.number)
        if interrupted is not None:
            self.left_over = True
            self.context.journal.note(self.number, "resumed", f"interrupted in the middle of: {interrupted}")
        self.context.storm.opened(self.context.name, self.context.journal.holder(self.context.name).host)
        try:
            self._work(ended, interrupted)
        finally:
            self.context.storm.closed(self.context.name)

    def _work(self, ended: runtime.Event, interrupted: str | None) -> None:
        while not ended.is_set():
            self.last_progress_at = runtime.monotonic()
            situation = self._look()
            plan = self._strategy.decide(situation, self._memory(), self._silent_elsewhere)
            self._record(plan, situation)
            ending = self._follow(plan, situation)
            if ending is not None:
                outcome = self._strategy.ending(*ending, interrupted)
                self.number = self.context.journal.close_incident(self.number, *outcome)
                self._log_end(*outcome)
                return
            ended.wait(self._rest_seconds(plan))

    def _log_end(self, outcome: str, reason: str) -> None:
        log.log(
            logging.INFO if outcome in _QUIET else logging.WARNING,
            "closed: %s: %s",
            outcome,
            reason,
            # The number may have changed to that of the incident that this one repeats.
            extra={"event": "incident_closed", "incident": self.number, "outcome": outcome},
        )

    def _silent_elsewhere(self, memory: Memory) -> frozenset[str]:
        """Check the other holder hosts before a move: further alerts of a storm may be on their way."""
        if self._age() > NEAR_SECONDS:  # by then every failing host is known
            return frozenset()
        return self.context.silent_elsewhere(memory)

    def _memory(self) -> Memory:
        if self._unconfirmed is None:
            self._unconfirmed = self.context.journal.unconfirmed(self.context.name)
        memory = self.context.memory(
            self._recently_tried(),
            self.returned,
            left_over=self.left_over,
            unconfirmed=self._unconfirmed,
        )
        # A service that keeps being restarted is always young: its time counts from the first check.
        is_patient = self._age() < patience.start_seconds(self.context.service)
        return self._strategy.adjust(
            replace(
                memory,
                starting=memory.starting if is_patient else {},
                may_wait=self._alone_since is None
                or runtime.monotonic() - self._alone_since < OTHERS_SECONDS,
                slow=frozenset(self._slow_hosts()),
                same_answer=frozenset(self._same_answer),
            )
        )

    def _slow_hosts(self) -> Iterator[str]:
        """Yield the hosts whose start took too long and still runs; for a limited time if no process shows it."""
        service = self.context.service
        for host, since in self._slow.items():
            if service.checks.process is not None or runtime.monotonic() - since < patience.start_seconds(
                service
            ):
                yield host

    def _look(self) -> Situation:
        begun = runtime.monotonic()
        situation = self.context.observer.situation(self.context.name)
        self.context.metrics.look_seconds.labels(self.context.name).observe(runtime.monotonic() - begun)
        self.context.loss_history.looked(situation)
        self.last_look = situation
        if not any(unable_to_judge(view) for view in situation.hosts.values()):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = begun
        self.context.starts.looked(situation)
        self.context.update_starting_metric()
        if situation.reach is not None:
            self.context.metrics.set_reached(self.context.name, situation.reach.outcome)
        self._confirm(situation)
        holder = self.context.journal.holder(self.context.name).host
        self.silent |= {
            name for name, view in situation.hosts.items() if view.gate_asked and not view.gate_answers
        }
        self.doubtful |= bool(situation.strangers) or situation.holders != {holder}
        view = None if holder is None else situation.hosts.get(holder)
        if situation.reach is not None:
            failing = () if view is None else situation.reach.failing(view)
            self._unreached_from = situation.reach.unreached_from(self._unreached_from, failing)
        if view is None or view.looked_at:  # a holder that could not be checked does not count as failing
            self.context.storm.looked(self.context.name, holder, failing=view is not None and view.is_silent)
        return situation

    def _confirm(self, situation: Situation) -> None:
        """Record which of the hosts that may still hold the address now report that they do not."""
        journal, name = self.context.journal, self.context.name
        may_hold = journal.unconfirmed(name) if self._unconfirmed is None else self._unconfirmed
        for host in may_hold & situation.hosts.keys():
            if has_let_go(situation.hosts[host], self.context.service):
                text = f"{host} reports that it neither holds the address nor runs the service"
                with suppress(JournalError):  # if not written, it is confirmed again after a restart
                    journal.note(self.number, "confirmed", text, host=host)
                may_hold -= {host}
        self._unconfirmed = may_hold

    def _record(self, plan: Plan, situation: Situation) -> None:
        """Record a decision if it differs from the previous one: a lasting refusal is one event."""
        context, decision = self.context, f"{plan.kind}/{plan.code}"
        too_long = MIXED_TOO_LONG_SECONDS
        if plan.code == "starting":
            self._say_starting(plan)
            too_long = max(too_long, patience.start_seconds(context.service))
        if plan.kind == "keep_looking" and not self._noted_mixed and self._age() > too_long:
            self._noted_mixed = True
            context.metrics.refusals.labels(context.name, plan.code).inc()
            context.journal.note(self.number, "refused", f"for {self._age():.0f} s now: {plan.reason}")
            log.warning(
                "for %.0f s now: %s",
                self._age(),
                plan.reason,
                extra={"event": "evidence_unclear", "code": plan.code},
            )
        if decision == self._noted:
            return
        self._noted = decision
        log.log(
            logging.INFO if plan.kind in _QUIET else logging.WARNING,
            "%s: %s",
            plan.kind,
            plan.reason,
            extra={"event": "decided", "plan": plan.kind, "code": plan.code, "target": plan.target},
        )
        if plan.kind == "refuse" and self._strategy.is_fault:
            context.metrics.refusals.labels(context.name, plan.code).inc()
        steps = [str(step) for step in plan.steps]
        context.journal.note(
            self.number,
            "decided",
            f"{plan.kind}: {plan.reason}",
            data={
                "kind": plan.kind,
                "code": plan.code,
                "target": plan.target,
                "plan": steps,
                "seen": situation_to_json(situation),
                **self._data_ages(),
            },
        )

    def _say_starting(self, plan: Plan) -> None:
        """Report from time to time that a service is still starting."""
        now = runtime.monotonic()
        if now - self._said_at >= SAY_EVERY_SECONDS:
            self._said_at = now
            self._say(plan.reason, plan.target)

    def _say(self, text: str, host: str | None) -> None:
        log.info("%s", text, extra={"event": "starting", "host": host})
        with suppress(JournalError):  # a failed progress report is no reason to stop
            self.context.journal.note(self.number, "progress", text, host=host)

    def _data_ages(self) -> dict[str, object]:
        """Return how old the data on each standby are, if they are mirrored."""
        context, journal = self.context, self.context.journal
        holder, now = journal.holder(context.name).host, journal.clock.now()
        known = copies(journal.mirrors, context.name, context.service, holder, now)
        return {"copies": {host: asdict(copy) for host, copy in known.items()}} if known else {}

    def _follow(self, plan: Plan, situation: Situation) -> Ending | None:
        """Do what the strategy chooses after a decision; return outcome and reason if the incident ends."""
        following = self._strategy.next(plan, situation, self._memory(), self._age())
        if following == "carry_out":
            return self._carry_out(plan, situation)
        return None if following == "look_again" else following

    def _carry_out(self, plan: Plan, situation: Situation) -> Ending | None:
        """Carry out a plan; return outcome and reason if that ends the incident."""
        context = self.context
        if plan.kind == "nothing" and self._may_be_unreached(situation):
            return None
        if plan.kind == "nothing" and self._unproven is not None:
            return self._unproven.kind, f"{self._unproven.reason} (not proven at first; then {plan.reason})"
        if plan.kind == "nothing":
            return "nothing", plan.reason
        if plan.kind == "adopt" and plan.target is not None:
            epoch = highest_epoch(situation, context.journal.holder(context.name).epoch)
            context.journal.set_holder(context.name, plan.target, epoch)
            context.update_holder_metric()
            return None
        if not plan.acts:
            return None
        outcome = self._act(plan, situation)
        context.update_holder_metric()
        self._update_reached_metric(outcome)
        if plan.kind == "claim" and plan.code == "unreached" and outcome.failed is not None:
            self._announced_at = runtime.monotonic()
        if plan.kind == "takeover" and outcome.moved and (plan.code == "unreached" or not outcome.done):
            self._moved_at = runtime.monotonic()
        before, again = self._unproven, self._only_repeats(plan)
        if outcome.failed is not None and outcome.failed.name == "prove" and not again:
            # The address has moved anyway, and people are notified of that; the next check decides.
            self._unproven = plan
            self._strategy.count(plan)
        if not outcome.done:
            self._remember_failure(plan, outcome, situation)
            return None
        self._strategy.count(plan)
        if plan.kind == "respawn" and before is not None:
            return None  # the earlier move is still unproven: the next check decides
        if again and before is not None:
            return before.kind, f"{before.reason} (not proven at first; then {_proven(plan, outcome)})"
        return plan.kind, _proven(plan, outcome)

    def _may_be_unreached(self, situation: Situation) -> bool:
        """Return whether a vantage point that got no answer before could not check this time."""
        reach = situation.reach
        return reach is not None and bool(self._unreached_from & reach.unable())

    def _only_repeats(self, plan: Plan) -> bool:
        """Return whether a plan only announces again what an earlier, unproven plan has moved."""
        before = self._unproven
        return before is not None and plan.kind == "claim" and plan.target == before.target

    def _update_reached_metric(self, outcome: Outcome) -> None:
        """Update the metric of whether clients reach the service from the proof, if there was one."""
        reached = self.context.metrics.set_reached
        if outcome.failed is not None and outcome.failed.name == "prove":
            reached(self.context.name, Found.FAILED)
        elif outcome.proof is not None:
            reached(self.context.name, Found.NOT_LOOKED if NOT_PROVEN in outcome.proof else Found.WELL)

    def _act(self, plan: Plan, situation: Situation) -> Outcome:
        context = self.context
        evidence = self._plan_evidence(plan, self._memory(), situation)
        before = context.journal.holder(context.name)
        epoch = highest_epoch(situation, before.epoch)
        if plan.kind != "respawn":
            epoch += 1
            context.journal.set_epoch(context.name, epoch)
        if plan.target not in {None, before.host} and not context.mirrors.halt(
            context.name, str(plan.target)
        ):
            return Outcome(False, f"a mirror run may still write on {plan.target}")
        step_context = replace(
            context.for_steps(epoch, before.host, plan.reason),
            silent_hosts=(silent := silent_hosts(plan, situation, self._memory())),
            needs_silence_elsewhere=need_silence_elsewhere(plan, silent, context.service),
            new_holder=plan.target,
            incident=self.number,
            evidence=evidence,
            wrong_answer=plan.code in WRONG_ANSWERS and not silent,
            only_candidate=not self._others(plan, situation),
            say=lambda text: self._say(text, plan.target),
        )
        sequence = Sequence(context.journal, context.metrics, self.number)
        self._unconfirmed = None
        counted: list[Counted] = []
        outcome = sequence.run(
            plan, step_context, lambda: counted.extend(self._count_beginning(plan, before.host))
        )
        if evidence.unproven is not None:
            self._unreached_from = evidence.unproven.unreached_from(self._unreached_from)
        if counted and not outcome.moved:
            with suppress(JournalError):  # a takeover counted for nothing only makes locum more careful
                context.journal.counts.uncount(counted[0], self.number)
        return outcome

    def _count_beginning(self, plan: Plan, holder: str | None) -> tuple[Counted, ...]:
        """Count a plan against its brake before it begins; return what it was counted as."""
        journal, name = self.context.journal, self.context.name
        moves = plan.kind == "claim" and holder not in {None, plan.target}
        if plan.kind == "takeover" or moves:
            journal.counts.count_takeover(name, self.number)
            return ("takeovers",)
        if plan.kind == "respawn" and plan.target is not None:
            journal.counts.count_respawn(name, plan.target, self.number)
            return ("respawns",)
        return ()

    def _plan_evidence(self, plan: Plan, memory: Memory, situation: Situation) -> PlanEvidence:
        """Return a plan's evidence; if it becomes too old, the checks and the decision are repeated."""

        def look_again(step: PlannedStep) -> str | None:
            fresh = self._look()
            known = replace(memory, doubted=self.context.loss_history.doubted())
            now = self._strategy.decide_again(plan, fresh, known)
            return None if step in now.steps else f"{now.kind}: {now.reason}"

        silent_since = {
            name: view.silent_since for name, view in situation.hosts.items() if view.silent_since is not None
        }
        return PlanEvidence(
            situation.asked_at, look_seconds(self.context.service), look_again, silent_since=silent_since
        )

    def _others(self, plan: Plan, situation: Situation) -> frozenset[str]:
        """Return the hosts other than the target that could still be tried, including the old holder."""
        memory = self._memory()
        return frozenset(
            view.name
            for view in situation.hosts.values()
            if view.name not in {plan.target} | self._given_back
            and f"respawn:{view.name}" not in memory.tried
            and is_candidate(view, memory, self.context.service)
        )

    def _remember_failure(self, plan: Plan, outcome: Outcome, situation: Situation) -> None:
        failed = outcome.failed
        self.left_over |= self._strategy.has_failed(plan, outcome.text)
        if failed is not None and outcome.slow:
            self._go_on_starting(plan, failed)
            return
        if failed is not None and outcome.same_answer and failed.name == "start":
            self._same_answer.add(failed.host)
        if failed is not None and failed.name == "start":
            self._given_back |= {step.host for step in plan.steps if step.name == "release"}
        if failed is not None and (failed.name == "confirm" or not outcome.tried):
            # A failed check is no attempt and is repeated at once, but not for ever if each one costs a release.
            self._vain += outcome.moved
            if self._vain < MOST_IN_VAIN:
                return
            self._vain = 0
        if (
            failed is not None
            and failed.name in {"release", "fence"}
            and situation.hosts[failed.host].fenceable
        ):
            # Not the target's fault: a failed release leads to fencing, a failed fence to a refusal.
            self._tried[f"{failed.name}:{failed.host}"] = runtime.monotonic()
            return
        mark = {"respawn": "respawn", "release": "release"}.get(plan.kind, "take")
        hosts = [step.host for step in plan.steps] if plan.kind == "release" else [plan.target]
        for host in hosts:
            self._tried[f"{mark}:{host}"] = runtime.monotonic()

    def _go_on_starting(self, plan: Plan, failed: PlannedStep) -> None:
        """Remember a start or respawn that took too long and was not undone."""
        self._slow[failed.host] = runtime.monotonic()
        if failed.name == "respawn":
            self._tried[f"respawn:{failed.host}"] = runtime.monotonic()
            return
        self.left_over = True
        if "claim" in {step.name for step in plan.steps[: plan.steps.index(failed)]} and not self._unproven:
            # The address has moved anyway, and people are notified of that.
            self._unproven = plan
            self._strategy.count(plan)

    def _recently_tried(self) -> frozenset[str]:
        now = runtime.monotonic()
        tried = {mark for mark, at in self._tried.items() if now - at < TRY_AGAIN_SECONDS}
        if now - self._announced_at < ANNOUNCE_AGAIN_SECONDS:
            tried.add(ANNOUNCED)
        moved = now - self._moved_at < MOVE_AGAIN_SECONDS + self.context.service.takeover.cooldown
        return frozenset(tried | {MOVED} if moved else tried)

    def _rest_seconds(self, plan: Plan) -> float:
        if plan.kind in {"refuse", "record", "nothing"}:
            return WAITING_SECONDS
        return 0.0 if plan.kind == "adopt" else KEEP_LOOKING_SECONDS

    def _age(self) -> float:
        return runtime.monotonic() - self.opened


def _proven(plan: Plan, outcome: Outcome) -> str:
    """Return the plan's reason, with a note if no other vantage point could prove the result."""
    if outcome.proof is None or NOT_PROVEN not in outcome.proof:
        return plan.reason
    return f"{plan.reason} ({NOT_PROVEN})"


def situation_to_json(situation: Situation) -> dict[str, object]:
    """Return a situation as JSON values, for the journal and for people."""
    return {
        "holders": sorted(situation.holders),
        "strangers": sorted(situation.strangers),
        "address_looked": situation.address_looked,
        "reach": None if situation.reach is None else situation.reach.text,
        "witnesses": dict(situation.witnesses),
        "hosts": {
            name: {
                "echoes": f"{view.echoes_received}/{view.echoes_sent}",
                "gate": view.gate_fault or "answers",
                "processes": view.processes,
                **(
                    {"unused": {str(address): why for address, why in view.unusable_addresses.items()}}
                    if view.unusable_addresses
                    else {}
                ),
                "looks": {look.vantage_point: look.text for look in view.looks},
            }
            for name, view in situation.hosts.items()
        },
    }

"""Handle one incident: check, decide and act until the service is well or nothing is left to do.

While an incident is open the actuator keeps checking; it does not wait for repeated alerts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import InitVar, dataclass, field, replace

from locum_actuator.decision.epochs import highest_epoch
from locum_actuator.decision.failover import is_candidate
from locum_actuator.decision.silent_hosts import need_silence_elsewhere, silent_hosts
from locum_actuator.domain import patience
from locum_actuator.domain.plan import Plan, PlannedStep
from locum_actuator.domain.reach import NOT_PROVEN
from locum_actuator.domain.situation import WRONG_ANSWERS, Memory, Situation
from locum_actuator.engine.attempts import Attempts
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident_checks import IncidentChecks
from locum_actuator.engine.incident_events import IncidentEvents, log_end
from locum_actuator.engine.strategy import Ending, FaultStrategy, Strategy
from locum_actuator.journal.brake_counts import Counted
from locum_actuator.journal.database import JournalError
from locum_actuator.observation.service_check import look_seconds
from locum_actuator.observation.storm import NEAR_SECONDS
from locum_actuator.steps.plan_evidence import PlanEvidence
from locum_actuator.steps.runner import Outcome, Sequence
from locum_actuator.system import runtime
from locum_exporter.result import Outcome as Found

KEEP_LOOKING_SECONDS = 0.1  # between two checks while the evidence is mixed
WAITING_SECONDS = 1.0  # between two checks after a refusal, or in observe mode: the situation may change


@dataclass(slots=True)
class Incident:
    """One fault of one service, from its trigger to the last step."""

    context: Context
    number: int
    returned: frozenset[str] = frozenset()  # hosts that were silent and answer again
    left_over: bool = False  # a plan was interrupted: a standby may still run what it started there
    strategy: InitVar[Strategy | None] = None  # None: it is a fault
    opened: float = field(default_factory=runtime.monotonic)
    last_progress_at: float = field(default_factory=runtime.monotonic)  # when its last check began
    checks: IncidentChecks = field(init=False)
    _events: IncidentEvents = field(init=False)
    _attempts: Attempts = field(init=False)
    _strategy: Strategy = field(init=False)
    _unproven: Plan | None = None  # a plan that was completed, but whose proof failed

    def __post_init__(self, strategy: Strategy | None) -> None:
        self.checks = IncidentChecks(self.context, self.number)
        self._events = IncidentEvents(self.context, self.number)
        self._attempts = Attempts(self.context.service)
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
            situation = self.checks.check()
            plan = self._strategy.decide(situation, self._memory(), self._silent_elsewhere)
            self._events.decided(plan, situation, self._age(), is_fault=self._strategy.is_fault)
            ending = self._follow(plan, situation)
            if ending is not None:
                outcome = self._strategy.ending(*ending, interrupted)
                self.number = self.context.journal.close_incident(self.number, *outcome)
                log_end(self.number, *outcome)
                return
            ended.wait(self._rest_seconds(plan))

    def _silent_elsewhere(self, memory: Memory) -> frozenset[str]:
        """Check the other holder hosts before a move: further alerts of a storm may be on their way."""
        if self._age() > NEAR_SECONDS:  # by then every failing host is known
            return frozenset()
        return self.context.silent_elsewhere(memory)

    def _memory(self) -> Memory:
        memory = self.context.memory(
            self._attempts.recent(),
            self.returned,
            left_over=self.left_over,
            unconfirmed=self.checks.unconfirmed,
        )
        # A service that keeps being restarted is always young: its time counts from the first check.
        is_patient = self._age() < patience.start_seconds(self.context.service)
        return self._strategy.adjust(
            replace(
                memory,
                starting=memory.starting if is_patient else {},
                may_wait=self.checks.may_wait,
                slow=frozenset(self._attempts.slow_hosts()),
                same_answer=frozenset(self._attempts.same_answer),
            )
        )

    def _follow(self, plan: Plan, situation: Situation) -> Ending | None:
        """Do what the strategy chooses after a decision; return outcome and reason if the incident ends."""
        following = self._strategy.next(plan, situation, self._memory(), self._age())
        if following == "carry_out":
            return self._carry_out(plan, situation)
        return None if following == "look_again" else following

    def _carry_out(self, plan: Plan, situation: Situation) -> Ending | None:
        """Carry out a plan; return outcome and reason if that ends the incident."""
        context = self.context
        if plan.kind == "nothing" and self.checks.may_be_unreached(situation):
            return None
        if plan.kind == "nothing" and self._unproven is not None:
            return self._unproven.kind, f"{self._unproven.reason} (not proven at first; then {plan.reason})"
        if plan.kind == "nothing":
            return "nothing", plan.reason
        if plan.kind == "adopt" and plan.target is not None:
            epoch = highest_epoch(situation, context.journal.holder(context.name).epoch)
            context.journal.set_holder(context.name, plan.target, epoch)
            context.update_holder_metric()
            self.left_over = True  # the host that the journal named may still run the service
            return None
        if not plan.acts:
            return None
        outcome = self._act(plan, situation)
        context.update_holder_metric()
        self._update_reached_metric(outcome)
        self._attempts.ran(plan, outcome)
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
            say=lambda text: self._events.progress(text, plan.target),
        )
        sequence = Sequence(context.journal, context.metrics, self.number)
        self.checks.steps_follow()
        counted: list[Counted] = []
        outcome = sequence.run(
            plan, step_context, lambda: counted.extend(self._count_beginning(plan, before.host))
        )
        if evidence.unproven is not None:
            self.checks.unproven(evidence.unproven)
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
            fresh = self.checks.check()
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
            if view.name not in {plan.target} | self._attempts.given_back
            and f"respawn:{view.name}" not in memory.tried
            and is_candidate(view, memory, self.context.service)
        )

    def _remember_failure(self, plan: Plan, outcome: Outcome, situation: Situation) -> None:
        self.left_over |= self._strategy.has_failed(plan, outcome.text)
        if outcome.failed is not None and outcome.slow:
            self._go_on_starting(plan, outcome.failed)
        else:
            self._attempts.failed(plan, outcome, situation)

    def _go_on_starting(self, plan: Plan, failed: PlannedStep) -> None:
        """Remember a start or respawn that took too long and was not undone."""
        self._attempts.still_starting(failed)
        if failed.name == "respawn":
            return
        self.left_over = True
        if "claim" in {step.name for step in plan.steps[: plan.steps.index(failed)]} and not self._unproven:
            # The address has moved anyway, and people are notified of that.
            self._unproven = plan
            self._strategy.count(plan)

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

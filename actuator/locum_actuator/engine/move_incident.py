"""Handle a planned move as an incident: one look, one plan, and where that fails the ordinary care for a fault.

The worker of the service carries it out, so that nothing else is at work for that service meanwhile. After a crash
in the middle of it the next start asks nobody: the world decides, as after any crash, and the move is then finished
or undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from locum_actuator.decision.planned_move import Obstacles, decide_move, may_pass
from locum_actuator.domain.plan import Move, Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine.incident import Context, Incident
from locum_actuator.steps.runner import Outcome
from locum_actuator.system import runtime

MOVES = frozenset({"switchover", "failback"})
_NO_OBSTACLES: Obstacles = {}


@dataclass(slots=True)
class MoveRequest:
    """A move that somebody waits for until a worker takes it up.

    The first of two decides: the worker that takes it up, once, or the one who waits and gives it up. A worker that
    has taken it up always answers, with its incident or with why it failed.
    """

    move: Move
    incident: int | None = None
    fault: str | None = None  # why the worker that took it up could not begin
    _lock: runtime.Lock = field(default_factory=runtime.lock)
    _answered: runtime.Event = field(default_factory=runtime.event)
    _taken: bool = False
    _given_up: bool = False

    def take(self) -> bool:
        """Take it up; False where it was taken up before, or is no longer waited for: then it must not be done."""
        with self._lock:
            if self._taken or self._given_up:
                return False
            self._taken = True
            return True

    def answer(self, incident: int | None) -> None:
        """Say which incident it became; None: a fault came first, and it is not done."""
        self.incident = incident
        self._answered.set()

    def fail(self, fault: str) -> None:
        """Say that it could not be begun, unless it was."""
        if not self._answered.is_set():
            self.fault = fault
            self._answered.set()

    def wait(self, seconds: float) -> bool:
        """Wait until a worker has answered; give it up, and return False, where none takes it up in that time."""
        if self._answered.wait(seconds):
            return True
        with self._lock:
            if not self._taken:
                self._given_up = True
                return False
        return self._answered.wait()


@dataclass
class PlannedIncident(Incident):
    """A planned move from its first look to its proof."""

    move: Move = field(kw_only=True)
    obstacles: Obstacles = field(default_factory=dict)
    over: bool = False  # the move has been decided about: what comes now is ordinary care
    _after_crash: bool = field(init=False, default=False)
    _failed: str = ""  # why it did not work
    _looks: int = 0  # while it is decided about

    def __post_init__(self) -> None:
        self._after_crash = self.over

    @property
    def _is_fault(self) -> bool:
        return self.over

    def _decide(self, situation: Situation) -> Plan:
        if self.over:
            return super()._decide(situation)
        service = self.context.service
        return decide_move(self.move, situation, self._memory(), service, self.obstacles)

    def _decide_again(self, plan: Plan, situation: Situation, memory: Memory) -> Plan:
        if plan.kind not in MOVES:
            return super()._decide_again(plan, situation, memory)
        return decide_move(self.move, situation, memory, self.context.service, self.obstacles)

    def _memory(self) -> Memory:
        memory = super()._memory()
        if self.move.despite_pause:
            memory = replace(memory, paused=None)  # what it began it may also mend
        if not self.over:
            failing = self.context.storm.failing() - {memory.holder}
            memory = replace(memory, failing_elsewhere=memory.failing_elsewhere | failing)
        return memory

    def _carry_out(self, plan: Plan, situation: Situation) -> tuple[str, str] | None:
        if self.over:
            return super()._carry_out(plan, situation)
        self._looks += 1
        if may_pass(plan, situation, self._memory(), self._looks, self._age()):
            return None
        self.over = True
        if plan.kind == "nothing":
            return "already", plan.reason
        if not plan.acts:
            return "refused", plan.reason
        return super()._carry_out(plan, situation)

    def _remember_failure(self, plan: Plan, outcome: Outcome, situation: Situation) -> None:
        if plan.kind in MOVES:
            self.left_over, self._failed = True, outcome.text
        super()._remember_failure(plan, outcome, situation)

    def _count(self, plan: Plan) -> None:
        super()._count(plan)
        if plan.kind in MOVES and plan.target is not None:
            self.context.metrics.moves.labels(self.context.name, plan.kind).inc()
            self.context.journal.move_done(self.number, plan.target)

    def _ending(self, outcome: str, reason: str, interrupted: str | None) -> tuple[str, str]:
        """Tell a move that was broken off or failed by what became of it: who holds the service now."""
        outcome, reason = super()._ending(outcome, reason, interrupted)
        if self._failed and outcome not in MOVES:
            reason = f"{self.move.verb}: {self._failed}; then {reason}"
        elif self._after_crash and interrupted is None:
            reason = f"{self.move.verb}: broken off before its first step; then {reason}"
        if outcome != "nothing":
            return outcome, reason
        journal = self.context.journal
        before, now = journal.holder_before(self.number), journal.holder(self.context.name).host
        if now is None or now == before:
            return "failed", reason
        journal.move_done(self.number, now)
        return self.move.verb, reason


def begin_incident(
    context: Context,
    number: int,
    *,
    returned: frozenset[str] = frozenset(),
    left_over: bool = False,
    move: Move | None = None,
    obstacles: Obstacles = _NO_OBSTACLES,
) -> Incident:
    """Return an incident as what it is: a fault, a planned move, or what a crash has left of one."""
    if move is not None:
        context.journal.begin_move(number, context.name, move)
        return PlannedIncident(context, number, move=move, obstacles=obstacles)
    earlier = context.journal.move_of(number)
    if earlier is not None:
        return PlannedIncident(context, number, returned, left_over=True, move=earlier, over=True)
    return Incident(context, number, returned, left_over=left_over)

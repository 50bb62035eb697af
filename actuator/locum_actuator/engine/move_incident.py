"""Handle a planned move as an incident: decide once, and if the move fails, handle that as a fault.

The service's worker carries it out, so that nothing else works on that service meanwhile. After a crash in the
middle of a move the next start checks the actual state, as after any crash, and then finishes or undoes the move.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from locum_actuator.decision.planned_move import Obstacles, decide_move, may_pass
from locum_actuator.domain.plan import Move, Plan
from locum_actuator.domain.situation import Memory, Situation
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.engine.strategy import Ending, FaultStrategy, Next, SilentElsewhere
from locum_actuator.system import runtime

MOVES = frozenset({"switchover", "failback"})
_NO_OBSTACLES: Obstacles = {}


@dataclass(slots=True)
class MoveRequest:
    """A requested move until a worker takes it.

    Either the worker takes it, once, or the waiting requester gives up; whichever is first wins. A worker that has
    taken it always answers, with its incident or with the reason for a failure.
    """

    move: Move
    incident: int | None = None
    fault: str | None = None  # why the worker that took it could not begin
    _lock: runtime.Lock = field(default_factory=runtime.lock)
    _answered: runtime.Event = field(default_factory=runtime.event)
    _taken: bool = False
    _given_up: bool = False

    def take(self) -> bool:
        """Take it; return False if it was taken before, or if the requester gave up: it must then not be done."""
        with self._lock:
            if self._taken or self._given_up:
                return False
            self._taken = True
            return True

    def answer(self, incident: int | None) -> None:
        """Answer with its incident; None: a fault came first, and the move is not done."""
        self.incident = incident
        self._answered.set()

    def fail(self, fault: str) -> None:
        """Answer that it could not begin, unless it was answered before."""
        if not self._answered.is_set():
            self.fault = fault
            self._answered.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a worker's answer; give up and return False if none takes it within `seconds`."""
        if self._answered.wait(seconds):
            return True
        with self._lock:
            if not self._taken:
                self._given_up = True
                return False
        return self._answered.wait()


@dataclass(slots=True)
class MoveStrategy:
    """The strategy for a planned move: one decision of its own, then that of a fault."""

    context: Context
    number: int
    move: Move
    obstacles: Obstacles = field(default_factory=dict)
    over: bool = False  # the move has been decided; the incident is now handled as a fault
    _care: FaultStrategy = field(init=False)
    _after_crash: bool = field(init=False)
    _failed: str = ""  # why the move failed
    _looks: int = 0  # number of checks before its decision

    def __post_init__(self) -> None:
        self._care, self._after_crash = FaultStrategy(self.context, self.number), self.over

    @property
    def is_fault(self) -> bool:
        """Return whether it is handled as a fault: a refused move does not harm the service."""
        return self.over

    def adjust(self, memory: Memory) -> Memory:
        """Return the memory without a pause that the move may ignore, and with all failing holder hosts."""
        if self.move.despite_pause:
            memory = replace(memory, paused=None)  # it may also undo what it began
        if not self.over:
            failing = self.context.storm.failing() - {memory.holder}
            memory = replace(memory, failing_elsewhere=memory.failing_elsewhere | failing)
        return memory

    def decide(self, situation: Situation, memory: Memory, silent_elsewhere: SilentElsewhere) -> Plan:
        """Decide about the move, and afterwards as for a fault."""
        if self.over:
            return self._care.decide(situation, memory, silent_elsewhere)
        return decide_move(self.move, situation, memory, self.context.service, self.obstacles)

    def decide_again(self, plan: Plan, situation: Situation, memory: Memory) -> Plan:
        """Decide about the move if the plan belongs to it, otherwise as for a fault."""
        if plan.kind not in MOVES:
            return self._care.decide_again(plan, situation, memory)
        return decide_move(self.move, situation, memory, self.context.service, self.obstacles)

    def next(self, plan: Plan, situation: Situation, memory: Memory, age_seconds: float) -> Next:
        """Check again if the obstacle may pass; end if the move is refused or already done."""
        if self.over:
            return self._care.next(plan, situation, memory, age_seconds)
        self._looks += 1
        if may_pass(plan, situation, memory, self._looks, age_seconds):
            return "look_again"
        self.over = True
        if plan.kind == "nothing":
            return "already", plan.reason
        return "carry_out" if plan.acts else ("refused", plan.reason)

    def has_failed(self, plan: Plan, text: str) -> bool:
        """Remember why the move failed."""
        if plan.kind not in MOVES:
            return self._care.has_failed(plan, text)
        self._failed = text
        return True

    def count(self, plan: Plan) -> None:
        """Count a completed move, and everything else as for a fault."""
        self._care.count(plan)
        if plan.kind in MOVES and plan.target is not None:
            self.context.metrics.moves.labels(self.context.name, plan.kind).inc()
            self.context.journal.moves.done(self.number, plan.target)

    def ending(self, outcome: str, reason: str, interrupted: str | None) -> Ending:
        """Return how the move ended; an interrupted or failed one is judged by who holds the service now."""
        outcome, reason = self._care.ending(outcome, reason, interrupted)
        if self._failed and outcome not in MOVES:
            reason = f"{self.move.verb}: {self._failed}; then {reason}"
        elif self._after_crash and interrupted is None:
            reason = f"{self.move.verb}: interrupted before its first step; then {reason}"
        if outcome != "nothing":
            return outcome, reason
        journal = self.context.journal
        before, now = journal.holder_before(self.number), journal.holder(self.context.name).host
        if now is None or now == before:
            return "failed", reason
        journal.moves.done(self.number, now)
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
    """Return the incident of a fault, of a planned move, or of a move that a crash interrupted."""
    if move is not None:
        context.journal.moves.begin(number, context.name, move)
        return Incident(context, number, strategy=MoveStrategy(context, number, move, obstacles))
    earlier = context.journal.moves.of_incident(number)
    if earlier is not None:
        strategy = MoveStrategy(context, number, earlier, over=True)
        return Incident(context, number, returned, left_over=True, strategy=strategy)
    return Incident(context, number, returned, left_over=left_over)

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
from locum_actuator.engine.context import Context
from locum_actuator.engine.incident import Incident
from locum_actuator.engine.strategy import Ending, FaultStrategy, Next, SilentElsewhere
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


@dataclass(slots=True)
class MoveStrategy:
    """The strategy for a planned move: one decision of its own, and ordinary care for whatever comes after it."""

    context: Context
    number: int
    move: Move
    obstacles: Obstacles = field(default_factory=dict)
    over: bool = False  # the move has been decided about: what comes now is ordinary care
    _care: FaultStrategy = field(init=False)
    _after_crash: bool = field(init=False)
    _failed: str = ""  # why it did not work
    _looks: int = 0  # while it is decided about

    def __post_init__(self) -> None:
        self._care, self._after_crash = FaultStrategy(self.context, self.number), self.over

    @property
    def is_fault(self) -> bool:
        """A refused move leaves the service as well as it was."""
        return self.over

    def adjust(self, memory: Memory) -> Memory:
        """Return what is remembered without the pause that the move may ignore, and with every storm."""
        if self.move.despite_pause:
            memory = replace(memory, paused=None)  # what it began it may also put right
        if not self.over:
            failing = self.context.storm.failing() - {memory.holder}
            memory = replace(memory, failing_elsewhere=memory.failing_elsewhere | failing)
        return memory

    def decide(self, situation: Situation, memory: Memory, silent_elsewhere: SilentElsewhere) -> Plan:
        """Decide about the move, and after that as about a fault."""
        if self.over:
            return self._care.decide(situation, memory, silent_elsewhere)
        return decide_move(self.move, situation, memory, self.context.service, self.obstacles)

    def decide_again(self, plan: Plan, situation: Situation, memory: Memory) -> Plan:
        """Decide about the move where the plan is its own, else as about a fault."""
        if plan.kind not in MOVES:
            return self._care.decide_again(plan, situation, memory)
        return decide_move(self.move, situation, memory, self.context.service, self.obstacles)

    def next(self, plan: Plan, situation: Situation, memory: Memory, age_seconds: float) -> Next:
        """Look again where what hinders the move may pass, and end where it is refused or done already."""
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
        """Keep why the move failed."""
        if plan.kind not in MOVES:
            return self._care.has_failed(plan, text)
        self._failed = text
        return True

    def count(self, plan: Plan) -> None:
        """Count a move of its own, and all else as of a fault."""
        self._care.count(plan)
        if plan.kind in MOVES and plan.target is not None:
            self.context.metrics.moves.labels(self.context.name, plan.kind).inc()
            self.context.journal.move_done(self.number, plan.target)

    def ending(self, outcome: str, reason: str, interrupted: str | None) -> Ending:
        """Tell a move that was broken off or failed by what became of it: who holds the service now."""
        outcome, reason = self._care.ending(outcome, reason, interrupted)
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
        return Incident(context, number, strategy=MoveStrategy(context, number, move, obstacles))
    earlier = context.journal.move_of(number)
    if earlier is not None:
        strategy = MoveStrategy(context, number, earlier, over=True)
        return Incident(context, number, returned, left_over=True, strategy=strategy)
    return Incident(context, number, returned, left_over=left_over)

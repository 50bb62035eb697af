"""What a plan rests on, and for how long: the look it was decided on, and the last question to the wire.

Whatever moves an address compares the age of its evidence right before the system call, the fence agent or the
verb of a gate, after every write: this process may have been stopped, or its disk slow, for as long as it takes a
host to come back. Evidence is as old as its question, not as its answer. What is too old is asked again; where that
fails too the step fails, and the incident looks again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from locum_actuator.domain.plan import PlannedStep
from locum_actuator.system import runtime
from locum_inventory.errors import LocumError

# A look may be so old, beside the time that it takes itself, when a step begins that takes something from a host.
LOOK_SECONDS = 1.0
LOOKS = 3  # so often it is looked again before a step is given up: the machine is too slow for any evidence

# The last question may be so old when a host is given something: where the old holder let go by its own word …
LET_GO_SECONDS = 3.0
# … and where it was silent: its cable may be plugged, or its power be back, at any moment.
SILENT_SECONDS = 1.0  # the question itself takes 0.1 to 0.4 s of them
OVER_GATE_SECONDS = (
    1.0  # more over a gate, which takes a login, a durable epoch and the start of some programs
)

# Inside these it is not asked again. They count from the answer, for they only save time.
LET_GO_AGAIN_SECONDS = 1.0
SILENT_AGAIN_SECONDS = 0.05


class EvidenceTooOldError(LocumError):
    """The evidence has become too old to act on; nothing was done."""


class NotDueError(LocumError):
    """A fresh look shows that a step is due no more; nothing was done."""


@dataclass(slots=True)
class PlanEvidence:
    """The evidence of one plan. Its moments are those of `runtime.since_boot`."""

    asked_at: float = field(default_factory=runtime.since_boot)  # when the look behind the plan began
    look_seconds: float = 0.0  # how long such a look takes at most
    # Looks and decides again, and returns why a step is due no more; None where it is due still.
    look_again: Callable[[PlannedStep], str | None] | None = None
    let_go: bool = False  # the old holder has said by itself that it released
    beside_holder: bool = (
        False  # what is given now is given while the old holder still serves, and not the address
    )
    # Hosts that did not answer -> since when (runtime.monotonic). An echo that comes late counts until the claim.
    silent_since: dict[str, float] = field(default_factory=dict)
    _free_asked_at: float = field(init=False)
    _free_answered_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._free_asked_at = self.asked_at
        self._free_answered_at = runtime.since_boot()

    # -- what is taken from a host ---------------------------------------------------------------------------

    @property
    def due_until(self) -> float:
        """Return until when the last look shows what must be taken from a host."""
        return self.asked_at + self.look_seconds + LOOK_SECONDS

    def require_due(self, step: PlannedStep) -> None:
        """Make sure that a step is due by a look that is new. Raises `NotDueError` or `EvidenceTooOldError`."""
        for _ in range(LOOKS):
            if runtime.since_boot() <= self.due_until:
                return
            if self.look_again is None:
                break
            asked_at = runtime.since_boot()
            why = self.look_again(step)
            if why is not None:
                raise NotDueError(f"{step} is due no more: {why}")
            self.asked_at = asked_at
        raise EvidenceTooOldError(
            f"the look behind {step} is too old, and this machine is too busy to act on a fresh one"
        )

    def seen_off(self, host: str) -> None:
        """Note that a host was seen off: an echo that it sent before says nothing any more."""
        self.silent_since.pop(host, None)

    # -- what is given to a host -----------------------------------------------------------------------------

    def found_free(self, asked_at: float) -> None:
        """Note that nobody but the host that is to have it had the address, by a question asked then."""
        self._free_asked_at, self._free_answered_at = asked_at, runtime.since_boot()

    def free_until(self, *, over_gate: bool = False) -> float:
        """Return until when the last question shows that the address is free."""
        more = OVER_GATE_SECONDS if over_gate else 0.0
        return self._free_asked_at + (LET_GO_SECONDS if self.let_go else SILENT_SECONDS) + more

    def given_until(self, *, over_gate: bool = False) -> float:
        """Return until when the step that is under way may give something to a host."""
        if self.beside_holder:
            return self.due_until + (OVER_GATE_SECONDS if over_gate else 0.0)
        return self.free_until(over_gate=over_gate)

    def should_ask(self) -> bool:
        """Tell whether to ask again before something is given to a host."""
        now = runtime.since_boot()
        again = LET_GO_AGAIN_SECONDS if self.let_go else SILENT_AGAIN_SECONDS
        return now - self._free_answered_at > again or now > self.free_until()

    def require_free(self) -> None:
        """Raise `EvidenceTooOldError` where the last question was asked too long ago."""
        late = runtime.since_boot() - self.free_until()
        if late > 0:
            raise EvidenceTooOldError(f"the last answer about the address was too old by {late:.2f} s")

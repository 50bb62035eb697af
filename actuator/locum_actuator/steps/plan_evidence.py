"""Track the age of a plan's evidence: the observation behind it, and the last check of the address.

Every step that moves an address checks the age of its evidence after every write, right before the system call, the
fence agent or the verb of a gate: this process may have been stopped, or its disk slow, long enough for a host to
come back. The age of evidence counts from its question, not from its answer. Evidence that is too old is gathered
again; if that fails too, the step fails and the incident checks everything again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from locum_actuator.domain.plan import PlannedStep
from locum_actuator.domain.reach import Reach
from locum_actuator.system import runtime
from locum_inventory.errors import LocumError

# An observation may be this old, on top of its own duration, when a step takes something from a host.
LOOK_SECONDS = 1.0
LOOKS = 3  # after this many observations a step is given up: the machine is too slow for fresh evidence

# The last check may be this old when a host is given something: if the old holder confirmed its release …
LET_GO_SECONDS = 3.0
# … and if it was silent: its cable or its power may be back at any moment.
SILENT_SECONDS = 1.0  # the check itself takes 0.1 to 0.4 s of that
OVER_GATE_SECONDS = (
    1.0  # extra time over a gate, which needs a login, a durable epoch and the start of programs
)

# Within these times the check is not repeated. They count from the answer, because they only save time.
LET_GO_AGAIN_SECONDS = 1.0
SILENT_AGAIN_SECONDS = 0.05


class EvidenceTooOldError(LocumError):
    """Raised if the evidence is too old to act on; nothing was done."""


class NotDueError(LocumError):
    """Raised if a fresh observation shows that a step is no longer due; nothing was done."""


@dataclass(slots=True)
class PlanEvidence:
    """The evidence of one plan. Its times are those of `runtime.since_boot`."""

    asked_at: float = field(default_factory=runtime.since_boot)  # when the observation behind the plan began
    look_seconds: float = 0.0  # how long such an observation takes at most
    # Checks and decides again; returns why a step is no longer due, None if it still is.
    look_again: Callable[[PlannedStep], str | None] | None = None
    let_go: bool = False  # the old holder has confirmed its release itself
    beside_holder: bool = (
        False  # the step under way gives something other than the address while the old holder serves
    )
    unproven: Reach | None = None  # the last check of a proof that failed
    # Hosts that did not answer -> since when (runtime.monotonic). A late echo counts until the claim.
    silent_since: dict[str, float] = field(default_factory=dict)
    _free_asked_at: float = field(init=False)
    _free_answered_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._free_asked_at = self.asked_at
        self._free_answered_at = runtime.since_boot()

    # -- what is taken from a host ---------------------------------------------------------------------------

    @property
    def due_until(self) -> float:
        """Return until when the last observation justifies taking something from a host."""
        return self.asked_at + self.look_seconds + LOOK_SECONDS

    def require_due(self, step: PlannedStep) -> None:
        """Check by recent evidence that a step is due. Raises `NotDueError` or `EvidenceTooOldError`."""
        for _ in range(LOOKS):
            if runtime.since_boot() <= self.due_until:
                return
            if self.look_again is None:
                break
            asked_at = runtime.since_boot()
            why = self.look_again(step)
            if why is not None:
                raise NotDueError(f"{step} is no longer due: {why}")
            self.asked_at = asked_at
        raise EvidenceTooOldError(
            f"the check behind {step} is too old, and this machine is too busy to act on a fresh one"
        )

    def seen_off(self, host: str) -> None:
        """Record that a host was found off: an earlier echo from it no longer counts."""
        self.silent_since.pop(host, None)

    # -- what is given to a host -----------------------------------------------------------------------------

    def found_free(self, asked_at: float) -> None:
        """Record that at `asked_at` no host except the designated one had the address."""
        self._free_asked_at, self._free_answered_at = asked_at, runtime.since_boot()

    def free_until(self, *, over_gate: bool = False) -> float:
        """Return until when the last check shows that the address is free."""
        more = OVER_GATE_SECONDS if over_gate else 0.0
        return self._free_asked_at + (LET_GO_SECONDS if self.let_go else SILENT_SECONDS) + more

    def given_until(self, *, over_gate: bool = False) -> float:
        """Return until when the current step may give something to a host."""
        if self.beside_holder:
            return self.due_until + (OVER_GATE_SECONDS if over_gate else 0.0)
        return self.free_until(over_gate=over_gate)

    def should_ask(self) -> bool:
        """Return whether to check again before something is given to a host."""
        now = runtime.since_boot()
        again = LET_GO_AGAIN_SECONDS if self.let_go else SILENT_AGAIN_SECONDS
        return now - self._free_answered_at > again or now > self.free_until()

    def require_free(self) -> None:
        """Raise `EvidenceTooOldError` if the last check was too long ago."""
        late = runtime.since_boot() - self.free_until()
        if late > 0:
            raise EvidenceTooOldError(f"the last answer about the address was too old by {late:.2f} s")

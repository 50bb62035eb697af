"""What is known of one service at one moment: plain frozen data, gathered in observation/, judged in decision/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Literal, get_args

from locum_actuator.domain.life import NO_LIFE, Life
from locum_exporter.result import Outcome, class_of

if TYPE_CHECKING:
    from locum_actuator.domain.reach import Reach

# How a service that answers is not well: not what was expected, or not in its protocol (or with a bad certificate).
WrongAnswer = Literal["unexpected", "malformed"]
WRONG_ANSWERS: frozenset[str] = frozenset(get_args(WrongAnswer))
Liveness = Literal["alive", "lossy", "slow", "dead", "partitioned", "unknown"]


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one vantage point found just now when it checked the service on a host."""

    vantage_point: str
    outcome: Outcome
    text: str  # what it found, in words
    reason: str | None = None  # why it is not well, as the exporter names it


def is_wrong(look: CheckOutcome) -> bool:
    """Return whether a service answered, and not as it should."""
    return look.outcome is Outcome.FAILED and class_of(look.reason or "") in WRONG_ANSWERS


# Behind 30 % loss each way a live host answers none of so many less than once in 10,000 bursts (0.51^14). Where
# this host could send but a part of a burst, fewer prove nothing.
ECHOES_OF_THE_DEAD = 14


@dataclass(frozen=True, slots=True)
class HostView:
    """One host of the service, as seen just now."""

    name: str
    echoes_sent: int
    echoes_received: int
    ping_fault: str | None = None  # why no echo could be sent, e.g. a missing capability
    gate_fault: str | None = None  # why the gate did not answer; None: it did
    gate_asked: bool = True  # False: this host could not ask it, which says nothing of that host
    life: Life = NO_LIFE  # what else of this host was heard a moment ago, by whichever service
    holds: frozenset[IPv4Address | IPv6Address] | None = None  # of the service's addresses; None: gate silent
    # Those that are on a card and not in use, with the kernel's word: tentative or dadfailed.
    unusable_addresses: Mapping[IPv4Address | IPv6Address, str] = field(default_factory=dict)
    processes: int | None = None  # None: gate silent, or the service names no process
    age_seconds: float | None = None  # since the oldest of them was started; None: not known
    underway: str | None = (
        None  # the verb that its gate is carrying out for the service: start, respawn or claim
    )
    epoch: int = 0  # the highest epoch its gate has seen; 0 where it did not answer
    looks: tuple[CheckOutcome, ...] = ()
    fenceable: bool = False  # the site file names a fence device, and it is not this host
    pinged_by: tuple[str, ...] = ()  # other vantage points that get its echo
    silent_to: tuple[str, ...] = ()  # … that looked and got none
    slow: bool = (
        False  # its echoes are so late that a look at anything else of it could not last until an answer
    )
    silent_since: float | None = (
        None  # when it was first asked for an echo (time.monotonic); None: it was heard
    )
    unfit: str | None = None  # why it cannot be given the service, by what its gate reports (fitness.py)
    drift: str | None = None  # its gate knows other addresses for the service than the site file
    # Its gate answered many calls in a row promptly while the service was asked (prompt_gate.py).
    gate_prompt: bool = False

    @property
    def gate_answers(self) -> bool:
        """Tell whether the gate answered."""
        return self.gate_fault is None

    @property
    def serves(self) -> bool:
        """Tell whether any vantage point got the service's answer from this host just now."""
        return any(look.outcome is Outcome.WELL for look in self.looks)

    @property
    def wrong(self) -> WrongAnswer | None:
        """Return how the service answers wrongly; None where it is silent, well, or could not be looked at."""
        if self.serves:
            return None
        classes = {class_of(look.reason or "") for look in self.looks if is_wrong(look)}
        if "unexpected" in classes:
            return "unexpected"
        return "malformed" if "malformed" in classes else None

    @property
    def is_silent(self) -> bool:
        """Return whether its service gave no answer of any kind; a fault of a network makes services silent."""
        return not self.serves and self.wrong is None

    @property
    def looked_at(self) -> bool:
        """Tell whether any vantage point could check the service on this host just now."""
        return any(look.outcome is not Outcome.NOT_LOOKED for look in self.looks)

    @property
    def liveness(self) -> Liveness:
        """Judge the burst of echoes: all came back, some, late, none (but elsewhere), none, none were sent."""
        if self.echoes_sent == 0:
            return "unknown"
        if self.slow:
            return "slow"
        if self.echoes_received == 0:
            if self.echoes_sent < ECHOES_OF_THE_DEAD:
                return "unknown"
            return "partitioned" if self.pinged_by else "dead"
        return "alive" if self.echoes_received == self.echoes_sent else "lossy"

    @property
    def line_is_clean(self) -> bool:
        """Tell whether the line to it loses nothing: all echoes came back, or its gate is prompt.

        A host may limit pings, or filter them; delay is judged by the echoes alone.
        """
        return self.liveness == "alive" or (self.gate_answers and self.gate_prompt and not self.slow)


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that was looked at for one decision."""

    service: str
    hosts: Mapping[str, HostView]  # in order of preference
    holders: frozenset[str]  # hosts that hold a service address, by their own gates or by who answers for it
    strangers: frozenset[str]  # MACs that answer for a service address and belong to no known host
    address_looked: bool  # could the wire be asked who has the address?
    witnesses: Mapping[str, bool]  # address -> did it answer
    taken_at: float  # seconds since the epoch
    by_command: bool = (
        False  # commands stand in for an address: `holders` is what their look says, not the wire
    )
    asked_at: float = float("-inf")  # when the look began, in seconds since boot; -inf: too old to act on
    reach: Reach | None = None  # None: there is no address that could be asked through
    not_looked: str | None = None  # why the look did not end, and so nothing is known; None: it ended

    @property
    def witnessed(self) -> bool:
        """Tell whether a witness answered, so that this host is not the one that is cut off."""
        return any(self.witnesses.values())


@dataclass(frozen=True, slots=True)
class Copy:
    """What is known of the data on a host that does not hold the service."""

    age_seconds: float | None  # None: not whole, or never mirrored
    stale: bool  # older than max_age, not whole, or never mirrored
    text: str  # in words: "a copy of 26 h ago (run 20260101040000)"


@dataclass(frozen=True, slots=True)
class Memory:
    """What the journal remembers and a decision needs."""

    holder: str | None  # None: no holder was ever known
    epoch: int
    takeovers_last_hour: int = 0
    tried: frozenset[str] = field(default_factory=frozenset)  # plans tried in this incident, as "kind:host"
    returned: frozenset[str] = field(default_factory=frozenset)  # hosts that were silent and answer again
    unconfirmed: frozenset[str] = frozenset()  # hosts whose release or fence was tried and never confirmed
    left_over: bool = False  # a plan was broken off or undone: a standby may run what it began there
    respawns_last_hour: Mapping[str, int] = field(default_factory=dict)  # by host
    seconds_since_takeover: float | None = None  # None: there was none yet
    starting: Mapping[str, float] = field(
        default_factory=dict
    )  # by host: seconds since a start that is young
    same_answer: frozenset[str] = (
        frozenset()
    )  # hosts that were started in this incident and answered wrongly too
    slow: frozenset[str] = field(
        default_factory=frozenset
    )  # hosts whose start took too long and was not undone
    doubted: Mapping[str, int] = field(
        default_factory=dict
    )  # hosts heard through loss lately -> echoes unanswered since
    # Vantage points that could not look at a silent host are waited for: they could not for a moment only.
    may_wait: bool = False
    paused: str | None = None  # until when and why, in words; None: it is not
    holding_hosts: int = 0  # how many hosts hold any service of the site
    failing_elsewhere: frozenset[str] = (
        frozenset()
    )  # other holder hosts that began to fail about when this one did
    unseen_elsewhere: frozenset[str] = frozenset()  # … whose first look is still being taken
    # Vantage points that reached the service through its addresses at some time since the start.
    reached: frozenset[str] = frozenset()
    copies: Mapping[str, Copy] = field(default_factory=dict)  # by host; none where nothing is mirrored

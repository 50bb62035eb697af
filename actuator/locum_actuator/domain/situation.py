"""The state of one service at one moment: frozen data, gathered in observation/, judged in decision/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Literal, get_args

from locum_actuator.domain.life import NO_LIFE, Life
from locum_exporter.result import Outcome, class_of

if TYPE_CHECKING:
    from locum_actuator.domain.reach import Reach

# How a service answers wrongly: not as expected, or not in its protocol (or with a bad certificate).
WrongAnswer = Literal["unexpected", "malformed"]
WRONG_ANSWERS: frozenset[str] = frozenset(get_args(WrongAnswer))
Liveness = Literal["alive", "lossy", "slow", "dead", "partitioned", "unknown"]


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The result of one vantage point's check of the service on a host."""

    vantage_point: str
    outcome: Outcome
    text: str  # what it found, in words
    reason: str | None = None  # why the check did not succeed: a reason of the exporter


def is_wrong(look: CheckOutcome) -> bool:
    """Return whether a service answered, but not as expected."""
    return look.outcome is Outcome.FAILED and class_of(look.reason or "") in WRONG_ANSWERS


# Behind 30 % loss each way a live host leaves this many unanswered less than once in 10,000 bursts (0.51^14). If
# this host could send only part of a burst, fewer unanswered echoes prove nothing.
ECHOES_OF_THE_DEAD = 14


@dataclass(frozen=True, slots=True)
class HostView:
    """The current state of one host of the service."""

    name: str
    echoes_sent: int
    echoes_received: int
    ping_fault: str | None = None  # why no echo could be sent, e.g. a missing capability
    gate_fault: str | None = None  # why the gate did not answer; None: it did
    gate_asked: bool = True  # False: this host could not ask it, which shows nothing about that host
    life: Life = NO_LIFE  # other recent signs of life of this host, for any service
    holds: frozenset[IPv4Address | IPv6Address] | None = None  # of the service's addresses; None: gate silent
    # Addresses that are on an interface but not in use, with the kernel's word: tentative or dadfailed.
    unusable_addresses: Mapping[IPv4Address | IPv6Address, str] = field(default_factory=dict)
    processes: int | None = None  # None: gate silent, or the service names no process
    age_seconds: float | None = None  # since the oldest of them started; None: not known
    underway: str | None = (
        None  # the verb that its gate is carrying out for the service: start, respawn or claim
    )
    epoch: int = 0  # the highest epoch its gate has stored; 0 if it did not answer
    looks: tuple[CheckOutcome, ...] = ()
    fenceable: bool = False  # the site file names a fence device for it, and it is not this host
    pinged_by: tuple[str, ...] = ()  # other vantage points that get its echo
    silent_to: tuple[str, ...] = ()  # … that pinged it and got none
    slow: bool = False  # its echoes are so late that any other check would time out before its answer
    silent_since: float | None = (
        None  # when the first unanswered echo was sent (time.monotonic); None: it answered
    )
    unfit: str | None = None  # why it cannot be given the service, from its gate's report (fitness.py)
    drift: str | None = None  # how its gate's addresses differ from the site file's; None: they match
    # Its gate answered many calls in a row promptly during the service check (prompt_gate.py).
    gate_prompt: bool = False

    @property
    def gate_answers(self) -> bool:
        """Return whether the gate answered."""
        return self.gate_fault is None

    @property
    def serves(self) -> bool:
        """Return whether any vantage point just got the service's answer from this host."""
        return any(look.outcome is Outcome.WELL for look in self.looks)

    @property
    def wrong(self) -> WrongAnswer | None:
        """Return how the service answers wrongly; None if it is silent, well, or could not be checked."""
        if self.serves:
            return None
        classes = {class_of(look.reason or "") for look in self.looks if is_wrong(look)}
        if "unexpected" in classes:
            return "unexpected"
        return "malformed" if "malformed" in classes else None

    @property
    def is_silent(self) -> bool:
        """Return whether the service gave no answer of any kind, as a network fault would cause."""
        return not self.serves and self.wrong is None

    @property
    def looked_at(self) -> bool:
        """Return whether any vantage point could check the service on this host."""
        return any(look.outcome is not Outcome.NOT_LOOKED for look in self.looks)

    @property
    def liveness(self) -> Liveness:
        """Return what the burst of echoes shows about the host and the line to it."""
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
        """Return whether the line to it loses nothing: all echoes came back, or its gate is prompt.

        A host may limit pings, or filter them; delay is judged by the echoes alone.
        """
        return self.liveness == "alive" or (self.gate_answers and self.gate_prompt and not self.slow)


@dataclass(frozen=True, slots=True)
class Situation:
    """All evidence for one decision."""

    service: str
    hosts: Mapping[str, HostView]  # in order of preference
    holders: frozenset[
        str
    ]  # hosts that hold a service address according to their gates, or that answer for it
    strangers: frozenset[str]  # MACs that answer for a service address but belong to no known host
    address_looked: bool  # whether it could be checked which host has the address
    witnesses: Mapping[str, bool]  # address -> whether it answered
    taken_at: float  # seconds since the epoch
    by_command: bool = (
        False  # address commands are used: `holders` is what their check reports, not the network
    )
    asked_at: float = float(
        "-inf"
    )  # when the observation began, in seconds since boot; -inf: too old to act on
    reach: Reach | None = None  # None: there is no address to check through
    not_looked: str | None = (
        None  # why the observation did not finish, so that nothing is known; None: it did
    )

    @property
    def witnessed(self) -> bool:
        """Return whether a witness answered, which shows that this host is not cut off."""
        return any(self.witnesses.values())


@dataclass(frozen=True, slots=True)
class Copy:
    """The state of the data on a host that does not hold the service."""

    age_seconds: float | None  # None: incomplete, or never mirrored
    stale: bool  # older than max_age, incomplete, or never mirrored
    text: str  # in words: "a copy of 26 h ago (run 20260101040000)"


@dataclass(frozen=True, slots=True)
class Memory:
    """Facts from the journal and from earlier observations that a decision needs."""

    holder: str | None  # None: no holder has ever been known
    epoch: int
    takeovers_last_hour: int = 0
    tried: frozenset[str] = field(default_factory=frozenset)  # plans tried in this incident, as "kind:host"
    returned: frozenset[str] = field(default_factory=frozenset)  # hosts that were silent and answer again
    unconfirmed: frozenset[str] = frozenset()  # hosts whose release or fence was tried and never confirmed
    left_over: bool = False  # a plan was interrupted or undone: a standby may still run what it started there
    respawns_last_hour: Mapping[str, int] = field(default_factory=dict)  # by host
    seconds_since_takeover: float | None = None  # None: there has been none
    starting: Mapping[str, float] = field(default_factory=dict)  # by host: seconds since a recent start
    same_answer: frozenset[str] = (
        frozenset()
    )  # hosts that were started in this incident and answered wrongly too
    slow: frozenset[str] = field(
        default_factory=frozenset
    )  # hosts whose start took too long and was not undone
    doubted: Mapping[str, int] = field(
        default_factory=dict
    )  # hosts that recently answered over a lossy line -> echoes unanswered since
    # Whether to wait for vantage points that could not check a silent host for only a moment so far.
    may_wait: bool = False
    paused: str | None = None  # until when and why, in words; None: it is not
    holding_hosts: int = 0  # how many hosts hold any service of the site
    failing_elsewhere: frozenset[str] = (
        frozenset()
    )  # other holder hosts that began to fail at about the same time as this one
    unseen_elsewhere: frozenset[str] = frozenset()  # … whose first observation is still under way
    # Vantage points that have reached the service through its addresses since the actuator started.
    reached: frozenset[str] = frozenset()
    copies: Mapping[str, Copy] = field(default_factory=dict)  # by host; empty if nothing is mirrored


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

"""The result of a check: well, failed or not looked, and the reason if it was not well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NoReturn, get_args

Reason = Literal[
    "refused",
    "timeout",
    "unreachable",
    "reset",
    "status",
    "body",
    "tls",
    "dns",
    "absent",
    "conflict",
    "auth",
    "host_key_unknown",
    "host_key_changed",
    "shell",
    "permission",
    "interface",
    "holder",
    "busy",
    "limit",
    "protocol",
]

ReasonClass = Literal[
    "silent",  # the target does not answer
    "unexpected",  # the target answers, but not what was expected
    "malformed",  # the target answers, but not in the protocol that was asked, or with a bad certificate
    "not_looked",  # says nothing about the target: what the check needs is missing on this side
]

# The only place that says what a reason means for the target. docs/metrics.md has the same list for people.
REASON_CLASSES: Mapping[Reason, ReasonClass] = {
    "refused": "silent",  # the host said no: connection refused, or an administrative prohibition
    "timeout": "silent",  # no answer, or not all of it, within the deadline
    "unreachable": "silent",  # the network reports that the host cannot be reached
    "reset": "silent",  # the connection was closed or reset before the answer was complete
    "absent": "silent",  # the process, or the owner of the address, was looked for and is not there
    "status": "unexpected",  # HTTP answered with another status than expected
    "body": "unexpected",  # the answer does not contain what was expected
    "conflict": "unexpected",  # more than one host answers for the address
    "tls": "malformed",  # the certificate or the handshake is not what it must be
    "protocol": "malformed",  # what answered does not speak the protocol that was asked
    "dns": "not_looked",  # the name does not resolve here
    "auth": "not_looked",  # SSH: the key was not accepted
    "host_key_unknown": "not_looked",  # SSH: no host key is pinned for this host
    "host_key_changed": "not_looked",  # SSH: the host shows another key than the pinned one
    "shell": "not_looked",  # SSH or the gate: could not look, for a reason not named above
    "permission": "not_looked",  # this process lacks a capability, file descriptors, memory or its CA file
    "interface": "not_looked",  # this host has no working interface or route towards the target
    "holder": "not_looked",  # this host holds the service address itself: it cannot show whether others reach it
    "busy": "not_looked",  # this host was too busy to ask, or to wait for the answer
    "limit": "not_looked",  # the answer is beyond what this program reads, so it could not be judged
}

_CLASSES: Mapping[str, ReasonClass] = {
    str(reason): kind for reason, kind in REASON_CLASSES.items()
}  # also asked with words of other versions

NOT_LOOKED_REASONS = frozenset(reason for reason, kind in REASON_CLASSES.items() if kind == "not_looked")


class Outcome(Enum):
    """What one check says about its target. Neither true nor false: compare it with a member."""

    WELL = "well"
    FAILED = "failed"
    NOT_LOOKED = "not looked"  # neither well nor failed: it never makes a plan safe and never casts a vote

    def __bool__(self) -> NoReturn:
        """Refuse to be read as a bool: "not looked" is neither true nor false."""
        raise TypeError("an outcome has three values: compare it with WELL, FAILED or NOT_LOOKED")


def class_of(reason: str) -> ReasonClass:
    """Return the class of a reason; a reason that this version does not know says nothing about the target."""
    return _CLASSES.get(reason, "not_looked")


def outcome_of(reason: str | None) -> Outcome:
    """Return the outcome that a reason stands for; None is no fault at all."""
    if reason is None:
        return Outcome.WELL
    return Outcome.NOT_LOOKED if class_of(reason) == "not_looked" else Outcome.FAILED


def service_outcome(check: str, reason: str | None) -> Outcome:
    """Return what a check of this name says about the service.

    A process is looked for through the gate of its host. A gate that does not answer says that the host is silent,
    which is a reason to look again, but the process itself was not looked for.
    """
    if check == "process" and reason not in {None, "absent"}:
        return Outcome.NOT_LOOKED
    return outcome_of(reason)


_GRAVITY: tuple[ReasonClass, ...] = ("silent", "unexpected", "malformed", "not_looked")


def gravest_reason(reasons: Iterable[str | None]) -> str | None:
    """Return the reason that counts where several checks must all succeed; None if all of them did.

    One failed check is enough to know that not all are well, so a failure counts before a check that could not be
    made.
    """
    faults = [reason for reason in reasons if reason is not None]
    return min(faults, key=lambda reason: _GRAVITY.index(class_of(reason)), default=None)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. `reason` is None if it succeeded; `seconds` is how long it took.

    `details` carries what else was measured, by the names the check documents (e.g. `rtt_seconds`,
    `status_code`, `count`, `owners`). `text` is one line for people.
    """

    reason: Reason | None
    seconds: float
    text: str = ""
    details: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reason is not None and self.reason not in REASON_CLASSES:
            raise ValueError(f"'{self.reason}' is not a reason: use one of {', '.join(get_args(Reason))}")

    @property
    def outcome(self) -> Outcome:
        """Return what the check says about its target."""
        return outcome_of(self.reason)

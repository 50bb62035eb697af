"""The result of a check: well, failed or not looked, with the reason if it was not well."""

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
    "unexpected",  # the target answers, but not as expected
    "malformed",  # the target answers, but not in the expected protocol, or with a bad certificate
    "not_looked",  # no evidence about the target: the check could not be made from here
]

# The only place that defines what a reason means for the target. docs/metrics.md has the same list for people.
REASON_CLASSES: Mapping[Reason, ReasonClass] = {
    "refused": "silent",  # connection refused, or an administrative prohibition
    "timeout": "silent",  # no complete answer within the deadline
    "unreachable": "silent",  # the network reports that the host cannot be reached
    "reset": "silent",  # the connection was closed or reset before the answer was complete
    "absent": "silent",  # the process is not running, or no host holds the address
    "status": "unexpected",  # HTTP answered with a different status than expected
    "body": "unexpected",  # the answer does not contain the expected text
    "conflict": "unexpected",  # more than one host answers for the address
    "tls": "malformed",  # the certificate or the handshake is not valid
    "protocol": "malformed",  # the answer is not in the expected protocol
    "dns": "not_looked",  # the name does not resolve on this host
    "auth": "not_looked",  # SSH: the key was not accepted
    "host_key_unknown": "not_looked",  # SSH: no host key is pinned for this host
    "host_key_changed": "not_looked",  # SSH: the host presented a different key than the pinned one
    "shell": "not_looked",  # SSH or the gate: could not check, for a reason not listed above
    "permission": "not_looked",  # this process lacks a capability, file descriptors, memory or its CA file
    "interface": "not_looked",  # this host has no working interface or route towards the target
    "holder": "not_looked",  # this host holds the service address itself: it cannot check whether others reach it
    "busy": "not_looked",  # this host was too busy to send the request or to wait for the answer
    "limit": "not_looked",  # the answer exceeds the limits of this program, so it could not be evaluated
}

_CLASSES: Mapping[str, ReasonClass] = {
    str(reason): kind for reason, kind in REASON_CLASSES.items()
}  # also called with reasons of other versions

NOT_LOOKED_REASONS = frozenset(reason for reason, kind in REASON_CLASSES.items() if kind == "not_looked")


class Outcome(Enum):
    """The evidence of one check about its target. Neither true nor false: compare it with a member."""

    WELL = "well"
    FAILED = "failed"
    NOT_LOOKED = "not looked"  # neither well nor failed: it makes no plan safe and is not a vote

    def __bool__(self) -> NoReturn:
        """Refuse the conversion to bool: "not looked" is neither true nor false."""
        raise TypeError("an outcome has three values: compare it with WELL, FAILED or NOT_LOOKED")


def class_of(reason: str) -> ReasonClass:
    """Return the class of a reason; an unknown reason is no evidence about the target."""
    return _CLASSES.get(reason, "not_looked")


def outcome_of(reason: str | None) -> Outcome:
    """Return the outcome for a reason; None means success."""
    if reason is None:
        return Outcome.WELL
    return Outcome.NOT_LOOKED if class_of(reason) == "not_looked" else Outcome.FAILED


def service_outcome(check: str, reason: str | None) -> Outcome:
    """Return the outcome of a check of this name for the service.

    A process is checked through the gate of its host. A gate that does not answer shows that the host is silent,
    which is a reason to check again, but the process itself was not checked.
    """
    if check == "process" and reason not in {None, "absent"}:
        return Outcome.NOT_LOOKED
    return outcome_of(reason)


_GRAVITY: tuple[ReasonClass, ...] = ("silent", "unexpected", "malformed", "not_looked")


def gravest_reason(reasons: Iterable[str | None]) -> str | None:
    """Return the decisive reason if several checks must all succeed; None if all of them did.

    One failed check is enough to know that not all are well, so a failure takes precedence over a check that could
    not be made.
    """
    faults = [reason for reason in reasons if reason is not None]
    return min(faults, key=lambda reason: _GRAVITY.index(class_of(reason)), default=None)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. `reason` is None if it succeeded; `seconds` is how long it took.

    `details` has the other measured values, by the names that the check documents (e.g. `rtt_seconds`,
    `status_code`, `count`, `owners`). `text` is a one-line message.
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
        """Return the outcome of the check for its target."""
        return outcome_of(self.reason)

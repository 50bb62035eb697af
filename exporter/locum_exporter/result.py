"""What a check found: success or not, and if not, why, out of a short fixed list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Reason = Literal[
    "refused",  # the host said no: connection refused, or an administrative prohibition
    "timeout",  # nothing, or not enough, came within the deadline
    "unreachable",  # the network said that there is no way there
    "reset",  # the connection was broken off half-way
    "status",  # HTTP answered with another status than expected
    "body",  # the answer did not contain what was expected, or was larger than allowed
    "tls",  # the certificate or the handshake is not what it must be
    "dns",  # the name does not resolve
    "absent",  # the process (or the address's owner) was looked for and is not there
    "conflict",  # more than one host answers for the address
    "auth",  # SSH: the key was not accepted
    "host_key_unknown",  # SSH: no host key is pinned for this host
    "host_key_changed",  # SSH: the host shows another key than the pinned one
    "shell",  # SSH or the gate: could not look, for a reason not named above
    "permission",  # this process lacks what the check needs: a capability, file descriptors, its CA file
    "protocol",  # what answered does not speak what was asked
]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One look at one thing. `reason` is None exactly when `success` is true; `seconds` is how long it took.

    `details` carries what else was measured, by the names the check documents (e.g. `rtt_seconds`,
    `status_code`, `count`, `owners`). `text` is one line for people.
    """

    success: bool
    reason: Reason | None
    seconds: float
    text: str = ""
    details: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.success != (self.reason is None):
            raise ValueError("a check result has a reason exactly when it failed")

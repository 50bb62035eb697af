"""Calls of a gate, and what they come to on a side: the real gate, or the simulator's model of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Protocol

from locum_inventory.gate.clock import GateClock, Permit
from locum_inventory.gate.protocol import GateError, ServiceStatus, Verb

OURS = (ip_interface("198.51.100.7/24"), ip_interface("2001:db8::7/64"))
A_WHILE_SECONDS = 0.5


@dataclass(frozen=True)
class Call:
    """One call. With `waits` it is begun, and the next steps of its row come while it is under way."""

    verb: Verb
    epoch: int = 5
    permit: str = "good"
    service: str = "www"
    waits: bool = False

    def permit_by(self, clock: GateClock) -> Permit | None:
        """Return the permit that its word stands for, by the clock of the gate's host."""
        if self.permit == "none" or (
            self.permit == "good" and self.verb not in {"claim", "start", "respawn"}
        ):
            return None
        boot_id, now = clock.boot_id, clock.uptime_hundredths
        dns = (ip_interface("198.51.100.8/24"),)
        permits = {
            "good": Permit(boot_id, now + 360_000, dns if self.service == "dns" else OURS),
            "good for a moment": Permit(boot_id, now + 20, OURS),
            "too old": Permit(boot_id, now - 100, OURS),
            "of another boot": Permit("0" * 36, now + 360_000, OURS),
            "of no boot": Permit("boot", now + 360_000, OURS),
            "of a boot in capitals": Permit("A" * 36, now + 360_000, OURS),
            "until a negative time": Permit(boot_id, -1, OURS),
            "until a time of 19 digits": Permit(boot_id, 10**18, OURS),
            "of another address": Permit(boot_id, now + 360_000, (ip_interface("198.51.100.77/24"), OURS[1])),
            "of another prefix": Permit(boot_id, now + 360_000, (ip_interface("198.51.100.7/25"), OURS[1])),
            "of one address": Permit(boot_id, now + 360_000, OURS[:1]),
            "of one address more": Permit(boot_id, now + 360_000, (*OURS, *dns)),
            "of the same in another order": Permit(boot_id, now + 360_000, OURS[::-1]),
            "of no address": Permit(boot_id, now + 360_000),
            "of too many addresses": Permit(boot_id, now + 360_000, OURS[:1] * 65),
        }
        return permits[self.permit]


PERMITS = (
    "good", "none", "too old", "of another boot", "of no boot", "of a boot in capitals", "until a negative time",
    "until a time of 19 digits", "of another address", "of another prefix", "of one address",
    "of one address more", "of the same in another order", "of no address", "of too many addresses",
)  # fmt: skip
Step = Call | str  # a change of the host, `status`, or `all have ended`


@dataclass(frozen=True)
class State:
    """What a gate reports of the service www."""

    epoch: int
    held: tuple[bool, ...]
    runs: bool
    underway: str | None

    @classmethod
    def of(cls, status: ServiceStatus) -> State:
        """Return it of an answer. How many processes there are while they start and end is left out."""
        return cls(status.epoch, tuple(status.held.values()), bool(status.processes), status.underway)


@dataclass(frozen=True)
class Outcome:
    """What a call came to: `ok` with the state in the answer, or the reason with its text."""

    call: Call
    verdict: str
    state: State | None


class Side(Protocol):
    """One of the two sides."""

    def call(self, call: Call) -> Outcome:
        """Make a call and wait for its answer."""

    def begin(self, call: Call) -> Callable[[], Outcome]:
        """Begin a call; return once it is under way or waits for its turn, with what waits for its answer."""

    def change(self, what: str) -> None:
        """Change the host."""

    def state(self) -> State:
        """Return what the gate reports."""


def course(side: Side, steps: Iterable[Step]) -> list[Outcome | State]:
    """Take all steps; return each answer and the state after it, then the answers of what was begun."""
    seen: list[Outcome | State] = []
    begun: list[Callable[[], Outcome]] = []
    for step in steps:
        if step == "all have ended":
            seen += [end() for end in begun]
            begun = []
        elif isinstance(step, str) and step != "status":
            side.change(step)
            continue
        if isinstance(step, Call) and step.waits:
            begun.append(side.begin(step))
            continue
        if isinstance(step, Call):
            seen.append(side.call(step))
        seen.append(side.state())
    return [*seen, *(end() for end in begun), side.state()] if begun else seen


def outcome(call: Call, answer: Callable[[], ServiceStatus]) -> Outcome:
    """Make a call; return what it came to. How late a verb was differs, and so does no text besides."""
    try:
        return Outcome(call, "ok", State.of(answer()))
    except GateError as fault:
        return Outcome(call, f"{fault.reason}: {re.sub(r'came [0-9]+ ms', 'came N ms', str(fault))}", None)

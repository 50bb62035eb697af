"""One fault on the holder, or one planned move, as observed by the client and the watcher."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from lab.lab import Lab
from lab.locum import Locum
from lab.needs import LabError

SETTLE_SECONDS = 1.5  # how long to watch after the service is back, to detect late second holders


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: its display name, the lab's verb, and the expected result."""

    name: str
    verb: str
    outcome: str
    answered_by: str
    promise: str


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("killed", "kill_service", "respawn", "a", "respawned on a"),
        Fault("hung", "hang_service", "takeover", "b", "released on a, taken over by b"),
        Fault("crashed", "crash", "takeover", "b", "taken over by b"),
    )
}

# Planned moves rather than faults: the verb is locum's own command.
MOVES = {
    move.name: move
    for move in (
        Fault("switchover", "switchover", "switchover", "b", "moved to b by plan"),
        Fault("failback", "failback", "failback", "a", "moved back to a by plan"),
    )
}


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of one fault. Times are time.time() or seconds; None if the service did not come back."""

    fault: Fault
    at: float
    seconds_without_service: float | None
    failed_requests: int
    answered_by: str | None
    held_by_two_seconds: float
    incident: dict[str, Any]

    def faults(self) -> list[str]:
        """Return the violated expectations as text; empty if there are none."""
        found = []
        if self.seconds_without_service is None:
            found.append("the service did not come back")
        if self.answered_by != self.fault.answered_by:
            found.append(f"{self.answered_by} answers, not {self.fault.answered_by}")
        if self.held_by_two_seconds > 0:
            found.append(f"two hosts held the address for {self.held_by_two_seconds:.2f} s")
        if self.incident.get("outcome") != self.fault.outcome:
            found.append(f"the incident ended with {self.incident.get('outcome')}, not {self.fault.outcome}")
        return found


def trial(lab: Lab, locum: Locum, fault: Fault, *, seconds: float = 20.0) -> Trial:
    """Inject a fault on a, which holds the service, and observe until it is over."""
    lab.client.wait_good(timeout=seconds)
    at: float = getattr(lab, fault.verb)("a")
    try:
        lab.client.wait_failed(since=at, timeout=5)
        lab.client.wait_good(since=at, timeout=seconds)
    except TimeoutError:
        pass  # it is not back, which the result shows
    return _result(lab, locum, fault, at)


def planned(lab: Lab, locum: Locum, move: Fault, *, seconds: float = 60.0) -> Trial:
    """Request a planned move, and observe until it is over; time without service begins at the first failure."""
    lab.client.wait_good(timeout=seconds)
    asked = time.time()
    locum.command(move.verb, "www", "--yes", timeout=seconds)
    lab.client.wait_good(timeout=seconds)
    failed = [sample.started for sample in lab.client.samples(asked) if not sample.ok]
    return _result(lab, locum, move, asked, begun=failed[0] if failed else asked)


def _result(lab: Lab, locum: Locum, fault: Fault, at: float, begun: float | None = None) -> Trial:
    """Return the result of a fault at `at`, whose outage began then or at `begun`."""
    time.sleep(SETTLE_SECONDS)
    begun = at if begun is None else begun
    try:
        incident = locum.wait_incident(fault.outcome, since=at, seconds=5)
    except LabError:
        later = locum.incidents_since(at)
        incident = later[0] if later else {}
    return Trial(
        fault=fault,
        at=begun,
        seconds_without_service=lab.client.seconds_without_service(begun),
        failed_requests=lab.client.failed_requests(at),
        answered_by=lab.client.answered_by(at),
        held_by_two_seconds=lab.watcher.held_by_two_seconds(at),
        incident=incident,
    )

"""The echoes of one actuator's process: bursts, and the answers that come late."""

from __future__ import annotations

from dataclasses import dataclass, field

from locum_actuator.observation.pings import (
    BURST_ECHOES,
    BURST_ENOUGH,
    BURST_SPACING_SECONDS,
    BURST_WAIT_SECONDS,
)
from locum_actuator.system import runtime
from sim.world import World


@dataclass(slots=True)
class Pings:
    """Pings of hosts from the actuator's host."""

    world: World
    _arrivals: dict[str, list[float]] = field(default_factory=dict)  # of echoes, by the actuator's clock

    def burst(self, host: str, hurry: runtime.Event | None = None) -> tuple[int, int, float]:
        """Ping a host; return how many echoes were sent, how many came back in time, and the fastest one's time.

        Five in a row are enough if none is missing and all else has been answered. They are sent together, five
        at a time: the host answers all of them or, if the line loses packets, some.
        """
        self.world.operation()
        wire, home = self.world.wire, self.world.home
        sent = received = 0
        seconds = wire.round_trip(home, host)
        while sent < BURST_ECHOES:
            seconds = wire.round_trip(home, host)
            answered = sum(wire.reaches(home, host) for _ in range(BURST_ENOUGH))
            if self.world.is_late():
                answered = 0
            sent += BURST_ENOUGH
            if seconds <= BURST_WAIT_SECONDS:
                received += answered
            if answered:
                self._arrivals.setdefault(host, []).append(runtime.monotonic() + seconds)
            runtime.sleep(BURST_ENOUGH * BURST_SPACING_SECONDS)
            if received == sent and (hurry is None or hurry.is_set()):
                break
        if received < sent:
            runtime.sleep(BURST_WAIT_SECONDS)
        return sent, received, seconds

    def heard_since(self, host: str, since: float) -> bool:
        """Return whether an echo has arrived since a moment of the monotonic clock, however late."""
        now = runtime.monotonic()
        arrivals = self._arrivals.get(host, [])
        del arrivals[:-50]
        return any(since <= at <= now for at in arrivals)

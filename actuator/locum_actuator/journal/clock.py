"""The clock by which pauses end and takeovers are counted: nobody can set it while the actuator runs.

A wall clock that is put an hour ahead must neither end a pause nor hand out a new hour's takeovers, and one that is
put back must not make them last. So the wall clock is read once, at the start, and from there time goes on by the
kernel's count since boot (CLOCK_BOOTTIME, clock_gettime(2)), which also counts what the machine slept. Only a start
reads the wall clock anew: what the journal then holds of the future counts as now (future_rows.py).
"""

from __future__ import annotations

from collections.abc import Callable

from locum_actuator.system import runtime


def _since_boot() -> float:
    return runtime.since_boot()


class BrakeClock:
    """Seconds since the epoch, as the wall clock had them when this was made, and nobody's to set since."""

    def __init__(
        self, wall: Callable[[], float] = runtime.wall_time, since_boot: Callable[[], float] = _since_boot
    ) -> None:
        self._wall = wall
        self._since_boot = since_boot
        self._offset = wall() - since_boot()

    def now(self) -> float:
        """Return the moment that it is."""
        return self._offset + self._since_boot()

    def on_the_wall(self, moment: float) -> float:
        """Return what the wall clock shows at a moment of this one, for people; to the second it was set by."""
        return moment + round(self._wall() - self.now())

"""The clock for pauses and for counting takeovers, which cannot be set while the actuator runs.

A wall clock that is set an hour ahead must neither end a pause nor allow another hour's takeovers, and one that is
set back must not prolong them. The wall clock is therefore read only once, at the start; from then on the time
advances with the kernel's clock since boot (CLOCK_BOOTTIME, clock_gettime(2)), which also counts time asleep.
Journal rows that are in the future at a start count as now (future_rows.py).
"""

from __future__ import annotations

from locum_actuator.system import runtime


class BrakeClock:
    """Seconds since the epoch, based on the wall clock at construction and independent of it since."""

    def __init__(self) -> None:
        self._offset = runtime.wall_time() - runtime.since_boot()

    def now(self) -> float:
        """Return the current time."""
        return self._offset + runtime.since_boot()

    def on_the_wall(self, moment: float) -> float:
        """Return a time of this clock as the wall clock shows it, for people; precise to the second."""
        return moment + round(runtime.wall_time() - self.now())

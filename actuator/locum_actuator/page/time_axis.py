"""A time axis on which long waits are shortened: seconds in, percent of the width out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

LONG_SECONDS = 10.0  # a wait without events that is longer than this is shortened
CUT_SHARE = 0.15  # width of a shortened wait, as a share of everything that is not a wait
CUT_SHARE_OF_ALL = 0.5  # … and the limit for all of them together
MOST_TICKS = 6
_STEPS = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A shortened wait, in percent of the width, with its real duration."""

    begin: float
    end: float
    seconds: float


class Axis:
    """The axis from the first moment to the last. Times are seconds since any common origin."""

    def __init__(self, moments: Iterable[float]) -> None:
        """`moments` are the times of all events; at least one."""
        self._moments: Sequence[float] = sorted(set(moments))
        gaps = [later - earlier for earlier, later in pairwise(self._moments)]
        busy, waits = sum(gap for gap in gaps if gap <= LONG_SECONDS), sum(gap > LONG_SECONDS for gap in gaps)
        room = min(CUT_SHARE, CUT_SHARE_OF_ALL / waits) * (busy or 1.0) if waits else 0.0
        widths = [room if gap > LONG_SECONDS else gap for gap in gaps]
        whole, at = sum(widths) or 1.0, 0.0
        self._percent = [0.0]
        for width in widths:
            at += width
            self._percent.append(100.0 * at / whole)
        self.cuts = tuple(
            Cut(self._percent[i], self._percent[i + 1], gap)
            for i, gap in enumerate(gaps)
            if gap > LONG_SECONDS
        )

    @property
    def seconds(self) -> float:
        """The duration from the first moment to the last."""
        return self._moments[-1] - self._moments[0]

    def percent(self, moment: float) -> float:
        """Return the position of a moment."""
        return round(self._percent[self._moments.index(moment)], 2)

    def ticks(self) -> list[tuple[float, float]]:
        """Return (percent, seconds from the first moment) for round times; only the first after a cut."""
        if self.cuts or not self.seconds:
            return [(0.0, 0.0)]
        step = next((one for one in _STEPS if self.seconds / one <= MOST_TICKS), self.seconds)
        count = int(self.seconds / step)
        return [(round(100.0 * i * step / self.seconds, 2), i * step) for i in range(count + 1)]

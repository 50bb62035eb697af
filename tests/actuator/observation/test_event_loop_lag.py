"""B14: deadlines widen with the lag that this host measured of itself, and only then."""

from __future__ import annotations

import time

import pytest

from locum_actuator.observation import event_loop_lag
from locum_actuator.observation.event_loop_lag import RecentLag


@pytest.mark.parametrize(
    ("seen", "allowance"),
    [
        pytest.param([], 0.0, id="nothing was measured yet"),
        pytest.param([0.0, 0.01, 0.02], 0.0, id="a calm machine"),
        pytest.param([0.01, 0.2, 0.05], 0.4, id="twice the worst"),
        pytest.param([5.0], 0.8, id="within a bound"),
    ],
)
def test_b14_a_deadline_is_wider_by_twice_the_worst_lag(seen: list[float], allowance: float) -> None:
    recent = RecentLag()
    for seconds in seen:
        recent.saw(seconds)
    assert recent.allowance_seconds() == pytest.approx(allowance)


def test_b14_what_is_long_over_widens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    recent, now = RecentLag(), time.monotonic()
    recent.saw(0.2)
    monkeypatch.setattr(time, "monotonic", lambda: now + event_loop_lag.REMEMBERED_SECONDS + 1)
    assert recent.allowance_seconds() == 0.0

"""B14: a timed test on a machine that is too slow is skipped in words; every other failure stays a failure."""

from __future__ import annotations

import sys
import time

import pytest

from tests import conftest
from tests.support.slowness import LATE_SECONDS, LateMeter


class Item:
    """A test as the hook knows it."""

    def __init__(self, *, timed: bool) -> None:
        self._timed = timed

    def get_closest_marker(self, name: str) -> object | None:
        """Return the mark."""
        return name if self._timed else None


class Late(LateMeter):
    """A meter that says what a test says."""

    says = 0.0

    def __enter__(self) -> Late:
        self.seconds = self.says
        return self

    def __exit__(self, *_: object) -> None:
        """Measure nothing."""


def outcome(monkeypatch: pytest.MonkeyPatch, *, timed: bool, late: float, fault: Exception) -> BaseException:
    """Return what the hook makes of a test that raises."""
    monkeypatch.setattr(conftest, "LateMeter", Late)
    monkeypatch.setattr(Late, "says", late)
    hook = conftest.pytest_runtest_call(Item(timed=timed))  # type: ignore[arg-type]
    next(hook)
    try:
        hook.throw(fault)
    except BaseException as seen:
        return seen
    raise AssertionError("the fault is gone")


def test_b14_a_timed_test_is_skipped_where_the_machine_was_late(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = outcome(monkeypatch, timed=True, late=0.4, fault=AssertionError("assert 0.9 < 0.4\nmore"))
    assert isinstance(seen, pytest.skip.Exception)
    assert str(seen) == "the machine is too slow: this process was 400 ms late (assert 0.9 < 0.4)"


@pytest.mark.parametrize(
    ("timed", "late", "fault"),
    [
        pytest.param(
            True, LATE_SECONDS / 2, AssertionError("assert 0.9 < 0.4"), id="the machine was not late"
        ),
        pytest.param(False, 5.0, AssertionError("assert 1 == 2"), id="the test is not timed"),
        pytest.param(True, 5.0, ValueError("x"), id="it broke in another way"),
    ],
)
def test_b14_every_other_failure_stays_one(
    monkeypatch: pytest.MonkeyPatch, timed: bool, late: float, fault: Exception
) -> None:
    assert outcome(monkeypatch, timed=timed, late=late, fault=fault) is fault


def test_b14_the_meter_measures_how_late_this_process_was() -> None:
    before = sys.getswitchinterval()
    try:
        with LateMeter() as late:
            time.sleep(0.05)
            sys.setswitchinterval(1.0)  # the other thread has to wait for this one
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                pass
            sys.setswitchinterval(before)
            time.sleep(0.05)
    finally:
        sys.setswitchinterval(before)
    assert late.seconds > 0.2

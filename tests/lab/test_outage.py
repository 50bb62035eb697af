"""What the client's samples say: a table of outages, each drawn as one character per request, 20 ms apart."""

from __future__ import annotations

import pytest

from lab.client import PACE_SECONDS, Sample, seconds_without_service

FAULT = 1000.0
N = 3  # so many good answers in a row; the tables stay short


def drawn(picture: str) -> list[Sample]:
    """`.` good, `x` failed, `_` a request that has not ended. The first one starts at the fault."""
    samples = []
    for number, mark in enumerate(picture):
        if mark != "_":
            good = mark == "."
            host, fault = ("a", None) if good else (None, "timeout")
            samples.append(Sample(number, FAULT + number * PACE_SECONDS, 0.001, host, fault))
    return samples


@pytest.mark.parametrize(
    ("picture", "back_at"),
    [
        pytest.param("......", 0.0, id="never failed"),
        pytest.param("", None, id="nothing was asked yet: it is not known"),
        pytest.param("..", None, id="too few were asked to say"),
        pytest.param("xx...", 0.041, id="failed at once, then back"),
        pytest.param("...xx...", 0.101, id="good answers before the first failure do not count"),
        pytest.param("x..x...", 0.081, id="two good ones are not enough"),
        pytest.param("x...xx...", 0.021, id="back is back, a later outage is another one"),
        pytest.param("xxxxx", None, id="not back"),
        pytest.param("xx..", None, id="not back for long enough to say"),
        pytest.param("x.._..", None, id="a request still under way breaks the row"),
        pytest.param("x.._...", 0.081, id="a row after one that is still under way"),
    ],
)
def test_seconds_without_service(picture: str, back_at: float | None) -> None:
    seconds = seconds_without_service(drawn(picture), FAULT, n=N)
    assert seconds == (None if back_at is None else pytest.approx(back_at))


def test_requests_before_the_fault_do_not_count() -> None:
    assert seconds_without_service(drawn("xx......"), FAULT + 2 * PACE_SECONDS, n=N) == 0.0


def test_a_slow_answer_counts_from_when_it_came() -> None:
    samples = [
        Sample(0, FAULT, 0.2, None, "timeout"),
        Sample(1, FAULT + 0.02, 0.15, "b", None),
        Sample(2, FAULT + 0.04, 0.001, "b", None),
    ]
    assert seconds_without_service(samples, FAULT, n=2) == pytest.approx(0.17)


def test_answers_are_judged_in_the_order_of_their_questions() -> None:
    assert seconds_without_service(list(reversed(drawn("xx..."))), FAULT, n=N) == pytest.approx(0.041)

"""When silence is doubted: looks one after the other, and what they leave behind."""

from __future__ import annotations

import pytest

from locum_actuator.domain.situation import HostView
from locum_actuator.observation.loss_history import ECHOES_AFTER_LOSS, LOSSY_SECONDS, LossHistory
from tests.actuator.fakes import host, situation
from tests.support.set_time import set_time

SILENT = "no answer within 0.4 s"
LOSSY = host("a", echoes=(3, 20), gate=SILENT)
DEAD = host("a", echoes=(0, 20), gate=SILENT)
WELL = host("a", serves=True, holds=True)
SLOW = host("a", echoes=(20, 20), gate=SILENT, slow=True)
LATE = host("a", echoes=(0, 20), gate=SILENT, slow=True)
HEARD_ELSEWHERE = host("a", echoes=(0, 20), gate=SILENT, pinged_by=("c",))

COURSES: dict[str, tuple[list[HostView], dict[str, int]]] = {
    "never heard through loss: dead at once": ([WELL, DEAD], {}),
    "never looked at before": ([DEAD], {}),
    "heard through loss": ([LOSSY], {"a": 0}),
    "heard through loss, then silent": ([LOSSY, DEAD, DEAD], {"a": 40}),
    "silent for long enough": ([LOSSY, *[DEAD] * (ECHOES_AFTER_LOSS // 20)], {}),
    "heard late, then silent": ([SLOW, DEAD], {"a": 20}),
    "heard too late for the burst, then silent": ([LATE, DEAD], {"a": 20}),
    "heard late in between": ([LOSSY, *[DEAD] * 5, LATE, DEAD], {"a": 20}),
    "heard again in between": ([LOSSY, *[DEAD] * 5, LOSSY, DEAD], {"a": 20}),
    "heard elsewhere in between": ([LOSSY, *[DEAD] * 5, HEARD_ELSEWHERE, DEAD], {"a": 20}),
}


@pytest.mark.parametrize("course", COURSES)
def test_doubted(course: str) -> None:
    looks, expected = COURSES[course]
    loss_history = LossHistory()
    for look in looks:
        loss_history.looked(situation(look, host("b")))
    assert loss_history.doubted() == expected


def test_loss_is_forgotten() -> None:
    with set_time() as clocks:
        loss_history = LossHistory()
        loss_history.looked(situation(LOSSY, host("b")))
        clocks.pass_by(LOSSY_SECONDS)
        assert loss_history.doubted() == {}

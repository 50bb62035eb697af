"""A few of the rounds that `python -m bench.mirror_rounds` plays by the hundred."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings

from bench.mirror_rounds import Round, play, rounds
from tests.marks import needs_root


@needs_root
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,  # the same rounds each time; others are drawn by the command
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(rounds)
def test_nothing_is_lost(drawn: Round) -> None:
    play(drawn)

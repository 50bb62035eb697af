"""One round in each mode, with a fault of every kind in it; `python -m bench.mirror_rounds` draws hundreds."""

from __future__ import annotations

import pytest

from bench.mirror_draws import FAULTS, MODES, Change, Round, Trial
from bench.mirror_rounds import SHOWS, Tally, play
from tests.support.marks import needs_root

pytestmark = pytest.mark.integration

BEGIN = (
    Change("index.html", "write", 1000, 0),
    Change("deep/er/file", "write", 60_000, 1),
    Change("new\nline", "symlink", 0, 0),
)


def changes(number: int) -> tuple[Change, ...]:
    """Return changes that a run needs half a second for at a MiB a second, and a deletion."""
    return (
        Change("käse", "write", 500_000, number),
        Change("index.html", "write", 1000, number),
        Change("deep/er/file", "delete" if number % 2 else "write", 60_000, number),
    )


@needs_root
@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_lost(mode: str) -> None:
    tally = Tally()
    trials = tuple(Trial(changes(number), fault, 0.05) for number, fault in enumerate(FAULTS))
    play(Round(mode, BEGIN, trials), tally)
    seen = {fault for fault, how in SHOWS.items() if tally.ended[f"{mode}, {fault}: {how}"]}
    # On a busy machine a run may be over before its fault comes: most faults come in time.
    assert len(seen) > len(FAULTS) / 2, tally.ended
    assert sum(tally.ended.values()) == len(FAULTS)

"""What all tests of the mirror share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from locum_actuator.mirror import transfer


@pytest.fixture(autouse=True, scope="module")
def _the_end_of_a_run_is_seen_at_once() -> Iterator[None]:
    """Look more often whether a run has ended: the tests have hundreds, and most take a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "POLL_SECONDS", 0.005)
        yield

"""What all tests of the actuator share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from locum_actuator import journal


@pytest.fixture(autouse=True, scope="session")
def _no_power_is_lost() -> Iterator[None]:
    """Let journals wait for no disk: what a test ends is a process at most, and what that has written stays.

    A write costs the disk five milliseconds, and more on a busy machine; there are tens of thousands of them here.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "SYNCHRONOUS", "OFF")
        yield

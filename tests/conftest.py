"""What tests of every part may use."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from lab import Lab
from tests.slowness import LATE_SECONDS, LateMeter


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Skip a timed test that fails while this machine is too slow to measure anything."""
    if item.get_closest_marker("timed") is None:
        return (yield)
    with LateMeter() as late:
        try:
            return (yield)
        except AssertionError as fault:
            if late.seconds < LATE_SECONDS:
                raise
            words = str(fault).splitlines() or ["assert"]
            text = f"the machine is too slow: this process was {late.seconds * 1000:.0f} ms late ({words[0]})"
    pytest.skip(text)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab with a and b in which nobody holds the service address yet; Apache runs on a."""
    with Lab() as made:
        yield made

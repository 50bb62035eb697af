"""What tests of every part may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab with a and b in which nobody holds the service address yet; Apache runs on a."""
    with Lab() as made:
        yield made

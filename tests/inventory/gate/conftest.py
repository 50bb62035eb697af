"""What all tests of the gate share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory in memory: the gate syncs each epoch that it stores, and a busy disk takes long for that."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix=f"locum-gate-{os.getpid()}-") as directory:
        yield Path(directory)

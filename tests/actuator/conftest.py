"""What all tests of the actuator share."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeShell, FakeWorld, KeptFakes, site

from locum_actuator import journal
from locum_actuator.engine import Engine
from locum_actuator.journal import Journal
from locum_actuator.metrics import Metrics


@pytest.fixture(autouse=True, scope="session")
def _no_power_is_lost() -> Iterator[None]:
    """Let journals wait for no disk: what a test ends is a process at most, and what that has written stays.

    A write costs the disk five milliseconds, and more on a busy machine; there are tens of thousands of them here.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "SYNCHRONOUS", "OFF")
        yield


@pytest.fixture(autouse=True, scope="module")
def _every_connection_is_closed() -> Iterator[None]:
    """Close what a file's tests leave open: from Python 3.13 on that is a warning, and a warning fails a test.

    Not after each test: some files share one actuator, whose threads keep their connections.
    """
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connected(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        made.append(connect(*args, **kwargs))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connected)
        yield
    for connection in made:
        with suppress(sqlite3.Error):  # one that a thread of its own has to close
            connection.close()


@pytest.fixture
def world() -> FakeWorld:
    """a holds the address, and b could stand in."""
    return FakeWorld({"a": FakeShell(held=True, processes=3, epoch=1), "b": FakeShell()})


@pytest.fixture
def engine(world: FakeWorld, tmp_path: Path) -> Iterator[Engine]:
    """An engine that nobody has started, for what is asked over HTTP."""
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    engine = Engine(site(), journal, Metrics(), lambda _: KeptFakes(world), lambda _site, _shells: world)
    yield engine
    engine.stop()
    journal.close()


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    """A directory that every user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory

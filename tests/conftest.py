"""What tests of every part may use."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from lab import Lab
from tests.support.forked_programs import ForkedPrograms, forked_programs
from tests.support.slowness import LATE_SECONDS, LateMeter


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let Python look for garbage neither while the tests are collected nor later among what they are made of.

    Nothing of it is garbage: modules, and thousands of tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# What a test says that has waited in vain, where real programs have to be quick enough.
MISSED_DEADLINE = (
    r"^AssertionError: not within [0-9.]+ s: ",
    r"^TimeoutError: no .* within [0-9.]+ s\b",
    r"^LabError: (no incident ended with .* within [0-9.]+ s: |locum did not come up)",
)
NEVER_TWICE = "held_by_two"
_TRIED_AGAIN = pytest.mark.flaky(reruns=1, only_rerun=list(MISSED_DEADLINE), rerun_except=[NEVER_TWICE])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a test with real programs once more if it missed a deadline; the run lists it as RERUN.

    A machine that is busy with something else is slow for seconds. Every other failure counts at once: a wrong
    host, a wrong outcome, an address held by two.
    """
    for item in items:
        if any(item.get_closest_marker(name) for name in ("e2e", "integration")):
            item.add_marker(_TRIED_AGAIN)


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


@pytest.fixture(scope="session")
def programs() -> Iterator[ForkedPrograms]:
    """Run programs of locum without starting Python for each."""
    modules = (
        "locum_actuator.server",
        "locum_actuator.cli.up",
        "locum_actuator.cli.enrol",
        "locum_exporter.server",
    )
    with forked_programs(modules) as forked:
        yield forked


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab with a and b in which no host holds the service address yet; Apache runs on a."""
    with Lab() as made:
        yield made

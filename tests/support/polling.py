"""Wait for what another thread or process does."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep  # by name: tests that replace `time.monotonic` must not stop the clock here
from typing import TypeVar

T = TypeVar("T")

_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.1


def wait_for(
    condition: Callable[[], T | None],
    what: str,
    seconds: float = 30.0,
    *,
    state: Callable[[], object] | None = None,
) -> T:
    """Call a condition until it returns something true, and return that.

    `what` is a sentence that names what is awaited. After `seconds` an AssertionError quotes it, and `state()` or
    the condition's last value. A slow condition, such as one that runs a program, is called less often.
    """
    deadline = monotonic() + seconds
    while True:
        begun = monotonic()
        value = condition()
        if value:
            return value
        ended = monotonic()
        if ended >= deadline:
            shown = value if state is None else state()
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {shown!r}")
        sleep(min(max(_PAUSE_SECONDS, 4 * (ended - begun)), _LONGEST_PAUSE_SECONDS))

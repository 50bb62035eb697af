"""Time, waiting, threads and chance: what engine, observation, steps and journal take from here and nowhere else.

So whole takeovers can run in virtual time, under a scheduler that decides which thread runs next: `use` puts
another `Runtime` in place of this machine's. tests/actuator/test_runtime_seam.py holds that nothing goes past it.
"""

from __future__ import annotations

import queue
import random as chance
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, TypeVar

from locum_inventory import since_boot as boot_clock

Empty = queue.Empty  # what `Queue.get` raises where nothing came in time

T = TypeVar("T")


class Lock(Protocol):
    """As `threading.Lock`."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; return whether it was to be had in time."""

    def release(self) -> None:
        """Give it back."""

    def __enter__(self) -> bool:
        """Take it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        """Give it back."""


class Event(Protocol):
    """As `threading.Event`."""

    def is_set(self) -> bool:
        """Return whether it has happened."""

    def set(self) -> None:
        """Let it have happened."""

    def clear(self) -> None:
        """Let it not have happened yet."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has happened; return whether it has."""


class Condition(Protocol):
    """As `threading.Condition`."""

    def __enter__(self) -> bool:
        """Take its lock."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        """Give its lock back."""

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until something is true; return what it is at the end."""

    def notify_all(self) -> None:
        """Wake all who wait."""


class Queue(Protocol[T]):
    """As `queue.SimpleQueue`."""

    def put(self, item: T) -> None:
        """Add an item."""

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Return the oldest item. Raises `Empty` where none came in time."""

    def get_nowait(self) -> T:
        """Return the oldest item. Raises `Empty` where there is none."""

    def empty(self) -> bool:
        """Return whether there is no item."""


class Thread(Protocol):
    """As `threading.Thread`."""

    @property
    def name(self) -> str:
        """Its name."""

    def start(self) -> None:
        """Start it. Raises `RuntimeError` where this machine has none left."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, at most so long."""

    def is_alive(self) -> bool:
        """Return whether it was started and has not ended."""


class Timer(Protocol):
    """As `threading.Timer`."""

    def start(self) -> None:
        """Let its time begin."""

    def cancel(self) -> None:
        """Let it not come."""


class Runtime:
    """This machine's own."""

    def monotonic(self) -> float:
        """Return the seconds of a clock that nobody sets, which may stand still while the machine sleeps."""
        return time.monotonic()

    def since_boot(self) -> float:
        """Return the seconds since this machine booted, those included that it slept."""
        return boot_clock.seconds()

    def wall_time(self) -> float:
        """Return the seconds since the epoch, by a clock that anybody may set."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def random(self) -> float:
        """Return a number of [0, 1) by chance."""
        return chance.random()  # noqa: S311 - spreads load, and keeps no secret

    def lock(self) -> Lock:
        """Return a lock."""
        return threading.Lock()

    def semaphore(self, value: int) -> Lock:
        """Return a lock that so many may have at once."""
        return threading.BoundedSemaphore(value)

    def event(self) -> Event:
        """Return an event."""
        return threading.Event()

    def condition(self) -> Condition:
        """Return a condition with a lock of its own."""
        return threading.Condition()

    def queue(self) -> Queue[Any]:
        """Return an empty queue without a bound."""
        return queue.SimpleQueue()

    def thread(self, target: Callable[..., object], *, name: str, args: tuple[object, ...] = ()) -> Thread:
        """Return a thread that ends with the process; it is not started yet."""
        return threading.Thread(target=target, name=name, args=args, daemon=True)

    def timer(self, seconds: float, call: Callable[..., object], args: tuple[object, ...] = ()) -> Timer:
        """Return a timer; its time does not run yet."""
        made = threading.Timer(seconds, call, args)
        made.daemon = True
        return made


_current = Runtime()


@contextmanager
def use(runtime: Runtime) -> Iterator[None]:
    """Put another runtime in place for the block, in every thread of this process."""
    global _current  # noqa: PLW0603 - a process has one time
    before, _current = _current, runtime
    try:
        yield
    finally:
        _current = before


def monotonic() -> float:
    """Return the seconds of a clock that nobody sets."""
    return _current.monotonic()


def since_boot() -> float:
    """Return the seconds since this machine booted, those included that it slept."""
    return _current.since_boot()


def wall_time() -> float:
    """Return the seconds since the epoch, by a clock that anybody may set."""
    return _current.wall_time()


def sleep(seconds: float) -> None:
    """Wait."""
    _current.sleep(seconds)


def random() -> float:
    """Return a number of [0, 1) by chance."""
    return _current.random()


def lock() -> Lock:
    """Return a lock."""
    return _current.lock()


def semaphore(value: int) -> Lock:
    """Return a lock that so many may have at once."""
    return _current.semaphore(value)


def event() -> Event:
    """Return an event."""
    return _current.event()


def condition() -> Condition:
    """Return a condition with a lock of its own."""
    return _current.condition()


def new_queue() -> Queue[Any]:
    """Return an empty queue without a bound."""
    return _current.queue()


def thread(target: Callable[..., object], *, name: str, args: tuple[object, ...] = ()) -> Thread:
    """Return a thread that ends with the process; it is not started yet."""
    return _current.thread(target, name=name, args=args)


def timer(seconds: float, call: Callable[..., object], args: tuple[object, ...] = ()) -> Timer:
    """Return a timer; its time does not run yet."""
    return _current.timer(seconds, call, args)

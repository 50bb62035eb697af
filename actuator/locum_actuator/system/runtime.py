"""Time, waiting, threads, event loops and chance: their only source for engine, observation, steps and journal.

So tests can run whole takeovers in virtual time, under a scheduler that decides which thread runs next: `use`
replaces this machine's `Runtime`. tests/actuator/test_runtime_seam.py checks that nothing bypasses it.
"""

from __future__ import annotations

import asyncio
import queue
import random as chance
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent import futures
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, TypeVar

from locum_inventory import since_boot as boot_clock

Empty = queue.Empty  # raised by `Queue.get` if no item came in time
Executor = futures.Executor  # what `pool` returns
Future = futures.Future  # what its `submit` returns

T = TypeVar("T")


class Lock(Protocol):
    """Like `threading.Lock`."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire the lock; return False if that timed out."""

    def release(self) -> None:
        """Release the lock."""

    def __enter__(self) -> bool:
        """Acquire the lock."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        """Release the lock."""


class Event(Protocol):
    """Like `threading.Event`."""

    def is_set(self) -> bool:
        """Return whether the event is set."""

    def set(self) -> None:
        """Set the event."""

    def clear(self) -> None:
        """Clear the event."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set; return whether it is."""


class Condition(Protocol):
    """Like `threading.Condition`."""

    def __enter__(self) -> bool:
        """Acquire its lock."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        """Release its lock."""

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until a predicate is true; return its last value."""

    def notify_all(self) -> None:
        """Wake all waiting threads."""


class Queue(Protocol[T]):
    """Like `queue.SimpleQueue`."""

    def put(self, item: T) -> None:
        """Add an item."""

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Return the oldest item. Raises `Empty` if none came in time."""

    def get_nowait(self) -> T:
        """Return the oldest item. Raises `Empty` if there is none."""

    def empty(self) -> bool:
        """Return whether the queue is empty."""


class Thread(Protocol):
    """Like `threading.Thread`."""

    @property
    def name(self) -> str:
        """Its name."""

    def start(self) -> None:
        """Start the thread. Raises `RuntimeError` if this machine has no thread left."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended, or until the timeout."""

    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""


class Timer(Protocol):
    """Like `threading.Timer`."""

    def start(self) -> None:
        """Start the timer."""

    def cancel(self) -> None:
        """Cancel the timer."""


class Runtime:
    """The real clock, threads and random numbers of this machine."""

    def monotonic(self) -> float:
        """Return the seconds of a clock that cannot be set and may stop while the machine sleeps."""
        return time.monotonic()

    def since_boot(self) -> float:
        """Return the seconds since this machine booted, including the time it slept."""
        return boot_clock.seconds()

    def wall_time(self) -> float:
        """Return the seconds since the epoch, by a clock that may be set at any time."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def random(self) -> float:
        """Return a random number in [0, 1)."""
        return chance.random()  # noqa: S311 - only spreads load, protects no secret

    def lock(self) -> Lock:
        """Return a lock."""
        return threading.Lock()

    def semaphore(self, value: int) -> Lock:
        """Return a semaphore that `value` threads may hold at once."""
        return threading.BoundedSemaphore(value)

    def event(self) -> Event:
        """Return an event."""
        return threading.Event()

    def condition(self) -> Condition:
        """Return a condition with its own lock."""
        return threading.Condition()

    def queue(self) -> Queue[Any]:
        """Return an empty, unbounded queue."""
        return queue.SimpleQueue()

    def thread(self, target: Callable[..., object], *, name: str, args: tuple[object, ...] = ()) -> Thread:
        """Return a daemon thread that is not started yet."""
        return threading.Thread(target=target, name=name, args=args, daemon=True)

    def timer(self, seconds: float, call: Callable[..., object], args: tuple[object, ...] = ()) -> Timer:
        """Return a timer that is not started yet."""
        made = threading.Timer(seconds, call, args)
        made.daemon = True
        return made

    def pool(self, workers: int, *, name: str) -> Executor:
        """Return a pool of threads that start as calls are submitted."""
        return futures.ThreadPoolExecutor(workers, thread_name_prefix=name)

    def all_done(self, calls: Collection[Future[Any]], timeout: float) -> bool:
        """Wait until all calls of a pool have ended, or until the timeout; return whether they have."""
        return not futures.wait(calls, timeout=timeout).not_done

    def result(self, call: Future[T], timeout: float | None = None) -> T:
        """Wait for a call and return its result. Raises what it raised, or `TimeoutError`."""
        return call.result(timeout)

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop that does not run yet."""
        return asyncio.new_event_loop()


_current = Runtime()


@contextmanager
def use(runtime: Runtime) -> Iterator[None]:
    """Replace the runtime for the duration of the block, in every thread of this process."""
    global _current  # noqa: PLW0603 - one runtime per process
    before, _current = _current, runtime
    try:
        yield
    finally:
        _current = before


def monotonic() -> float:
    """Return the seconds of a clock that cannot be set."""
    return _current.monotonic()


def since_boot() -> float:
    """Return the seconds since this machine booted, including the time it slept."""
    return _current.since_boot()


def wall_time() -> float:
    """Return the seconds since the epoch, by a clock that may be set at any time."""
    return _current.wall_time()


def sleep(seconds: float) -> None:
    """Wait."""
    _current.sleep(seconds)


def random() -> float:
    """Return a random number in [0, 1)."""
    return _current.random()


def lock() -> Lock:
    """Return a lock."""
    return _current.lock()


def semaphore(value: int) -> Lock:
    """Return a semaphore that `value` threads may hold at once."""
    return _current.semaphore(value)


def event() -> Event:
    """Return an event."""
    return _current.event()


def condition() -> Condition:
    """Return a condition with its own lock."""
    return _current.condition()


def new_queue() -> Queue[Any]:
    """Return an empty, unbounded queue."""
    return _current.queue()


def thread(target: Callable[..., object], *, name: str, args: tuple[object, ...] = ()) -> Thread:
    """Return a daemon thread that is not started yet."""
    return _current.thread(target, name=name, args=args)


def timer(seconds: float, call: Callable[..., object], args: tuple[object, ...] = ()) -> Timer:
    """Return a timer that is not started yet."""
    return _current.timer(seconds, call, args)


def pool(workers: int, *, name: str) -> Executor:
    """Return a pool of threads that start as calls are submitted."""
    return _current.pool(workers, name=name)


def all_done(calls: Collection[Future[Any]], timeout: float) -> bool:
    """Wait until all calls of a pool have ended, or until the timeout; return whether they have."""
    return _current.all_done(calls, timeout)


def result(call: Future[T], timeout: float | None = None) -> T:
    """Wait for a call and return its result. Raises what it raised, or `TimeoutError`."""
    return _current.result(call, timeout)


def event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop that does not run yet."""
    return _current.event_loop()

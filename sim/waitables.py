"""Locks, events, queues, threads, timers, pools and event loops in virtual time."""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from locum_actuator.system import runtime

if TYPE_CHECKING:
    from sim.virtual_time import Task, VirtualRuntime

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Semaphore:
    """A lock that so many threads may have at once, as `threading.Semaphore`."""

    def __init__(self, virtual: VirtualRuntime, value: int) -> None:
        self._virtual, self._value = virtual, value

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; return False if that timed out."""
        seconds = None if timeout < 0 else timeout
        if not self._virtual.wait(lambda: self._value > 0, seconds if blocking else 0.0):
            return False
        self._value -= 1
        return True

    def release(self) -> None:
        """Give it back."""
        self._value += 1

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.release()


class Event:
    """As `threading.Event`."""

    def __init__(self, virtual: VirtualRuntime) -> None:
        self._virtual, self._set = virtual, False

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it."""
        self._set = True

    def clear(self) -> None:
        """Clear it."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; return whether it is."""
        return self._virtual.wait(self.is_set, timeout)


class Condition(Semaphore):
    """As `threading.Condition`."""

    def __init__(self, virtual: VirtualRuntime) -> None:
        super().__init__(virtual, 1)

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until a predicate is true; return its last value."""
        self.release()
        self._virtual.wait(lambda: bool(predicate()), timeout)
        self.acquire()
        return predicate()

    def notify_all(self) -> None:
        """Nothing: the condition of each waiting thread is evaluated before each turn."""


class Queue:
    """As `queue.SimpleQueue`."""

    def __init__(self, virtual: VirtualRuntime) -> None:
        self._virtual, self._items = virtual, deque[Any]()

    def put(self, item: Any) -> None:
        """Add an item."""
        self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the oldest item. Raises `Empty` if none came in time."""
        if not self._virtual.wait(lambda: bool(self._items), timeout if block else 0.0):
            raise runtime.Empty
        return self._items.popleft()

    def get_nowait(self) -> Any:
        """Return the oldest item. Raises `Empty` if there is none."""
        return self.get(block=False)

    def empty(self) -> bool:
        """Return whether it is empty."""
        return not self._items


class Thread:
    """As `threading.Thread`."""

    def __init__(
        self, virtual: VirtualRuntime, target: Callable[..., object], name: str, args: tuple[object, ...]
    ) -> None:
        self._virtual, self._target, self._args, self.name = virtual, target, args, name
        self._task: Task | None = None

    def start(self) -> None:
        """Start it."""
        self._task = self._virtual.begin(self._target, self.name, self._args)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or until the timeout."""
        self._virtual.wait(lambda: not self.is_alive(), timeout)

    def is_alive(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._task is not None and not self._task.ended


class Timer:
    """As `threading.Timer`."""

    def __init__(
        self, virtual: VirtualRuntime, seconds: float, call: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        self._cancelled = Event(virtual)

        def run() -> None:
            if not self._cancelled.wait(seconds):
                call(*args)

        self._thread = Thread(virtual, run, "timer", ())

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def cancel(self) -> None:
        """Cancel it."""
        self._cancelled.set()


class Pool(Executor):
    """As `concurrent.futures.ThreadPoolExecutor`."""

    def __init__(self, virtual: VirtualRuntime, workers: int, name: str) -> None:
        self._virtual, self._name = virtual, name
        self._workers = virtual.semaphore(workers)
        self._futures: list[Future[Any]] = []

    def submit(self, call: Callable[..., T], /, *args: Any, **keywords: Any) -> Future[T]:
        """Run a call in a thread of the pool."""
        future: Future[T] = Future()
        self._futures.append(future)

        def run() -> None:
            with self._workers:
                if not future.set_running_or_notify_cancel():
                    return
                try:
                    future.set_result(call(*args, **keywords))
                except BaseException as error:  # handed on to the caller
                    future.set_exception(error)

        self._virtual.begin(run, f"{self._name}-{len(self._futures)}", ())
        return future

    def map(
        self,
        call: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """Run a call for each item, and yield the results."""
        futures = [self.submit(call, *args) for args in zip(*iterables, strict=False)]
        return (self._virtual.result(future, timeout) for future in futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; wait for those that run if that is asked for."""
        if cancel_futures:
            for future in self._futures:
                future.cancel()
        if wait:
            self._virtual.wait(lambda: all(future.done() for future in self._futures), None)


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop that lets the other threads run while it has nothing to do."""

    def __init__(self, virtual: VirtualRuntime) -> None:
        self._virtual, self._idle = virtual, Selector(virtual)
        super().__init__(self._idle)

    def time(self) -> float:
        """Return the clock's seconds."""
        return self._virtual.monotonic()

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Have a call made by the loop, and wake it."""
        self._idle.woken = True
        return super().call_soon_threadsafe(callback, *args, context=context)


class Selector(selectors.SelectSelector):
    """A selector whose wait is one in virtual time."""

    def __init__(self, virtual: VirtualRuntime) -> None:
        super().__init__()
        self._virtual, self.woken = virtual, False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for a call from another thread, or until the timeout."""
        self._virtual.wait(lambda: self.woken, timeout)
        self.woken = False
        return super().select(0)


class Until:
    """An event that becomes set after some seconds: a timer would be one more thread."""

    def __init__(self, seconds: float) -> None:
        self._end = runtime.monotonic() + seconds

    def is_set(self) -> bool:
        """Return whether its time has come."""
        return runtime.monotonic() >= self._end

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its time; return whether it has come."""
        left = self._end - runtime.monotonic()
        runtime.sleep(left if timeout is None else min(left, timeout))
        return self.is_set()

    def set(self) -> None:
        """Make its time come now."""
        self._end = runtime.monotonic()

    def clear(self) -> None:
        """Let its time never come."""
        self._end = float("inf")

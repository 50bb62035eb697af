"""Virtual time: the shipped code runs as ever, one thread at a time, and nothing waits.

`VirtualRuntime` takes the place of this machine's runtime (system/runtime.py). Its threads are greenlets, of which
exactly one runs, until it waits for something. Then the seed chooses the next one among those that are ready. When
none is ready, the clock jumps to the earliest deadline of those that wait. So an hour takes milliseconds, goes the
same way each time, and other seeds try other orders. (Threads of the operating system would do the same, twice as
slowly: each change from one to the next is a matter of the kernel.)

Only what comes from the runtime can be waited for, its pools and event loops included (one event loop at a time). A
thread from elsewhere (a server, a library) must not call into code that runs here.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from contextvars import Context
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

from greenlet import GreenletExit, getcurrent, greenlet

from locum_actuator.system import runtime

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
STARTS_AT = 1000.0  # the clock's first moment: 0 would hide a moment that was never set
WALL_AT = 1_700_000_000.0
OTHERS_FIRST = 0.1  # how often a thread that need not wait lets another one go first


class DeadlockError(AssertionError):
    """Every thread waits for something that no other can bring about."""


class _Task:
    """One thread: what it waits for, and until when at most."""

    def __init__(self, name: str, run: greenlet) -> None:
        self.name = name
        self.run = run
        self.ready: Callable[[], bool] | None = None  # None: it does not wait
        self.deadline: float | None = None
        self.ended = False  # then it is no longer one of the runtime's tasks


class VirtualRuntime(runtime.Runtime):
    """A runtime whose clock only moves while everybody waits."""

    def __init__(self, seed: int = 0) -> None:
        self._now, self._suspended = STARTS_AT, 0.0
        self._chance = random.Random(seed)
        self._tasks: list[_Task] = []
        self._current: _Task | None = None  # None: nothing runs here
        self._scheduler = greenlet(self._schedule)

    # -- the clock ---------------------------------------------------------------------------------------------

    def monotonic(self) -> float:
        """Return the clock's seconds."""
        return self._now

    def since_boot(self) -> float:
        """Return the clock's seconds, and those of suspension."""
        return self._now + self._suspended

    def wall_time(self) -> float:
        """Return the clock's seconds since the epoch."""
        return WALL_AT + self._now

    def sleep(self, seconds: float) -> None:
        """Let others run until so much later."""
        self.wait(lambda: False, seconds)

    def random(self) -> float:
        """Return a number of [0, 1) by the seed."""
        return self._chance.random()

    def suspend(self, seconds: float) -> None:
        """Let so much go by for the clock since boot alone, as while this machine is suspended."""
        self._suspended += seconds

    # -- who runs ----------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Let the caller be the first thread, in place of this machine's runtime.

        Threads that have not begun by the end never do, as if their process had ended. Afterwards the same clock
        can be used again.
        """
        task = _Task("main", getcurrent())
        self._tasks.append(task)
        self._current = task
        try:
            with runtime.use(self):
                yield self
        finally:
            self._current, task.ended = None, True
            self._tasks = [other for other in self._tasks if other.run and other is not task]

    def wait(self, ready: Callable[[], bool], seconds: float | None) -> bool:
        """Let others run until something is true, or so much later; return whether it is true.

        Where it is true already another thread may run first all the same: that is how orders differ by the seed.
        """
        if seconds is not None and seconds <= 0:
            return ready()
        task = self._current
        if task is None:
            raise GreenletExit  # nothing runs here any more: Python removes a thread that was left
        assert task.run is getcurrent(), "a thread that the virtual runtime does not know may not wait in it"
        if ready() and (self._tasks == [task] or self._chance.random() >= OTHERS_FIRST):
            return True
        task.ready, task.deadline = ready, None if seconds is None else self._now + seconds
        self._scheduler.switch()
        task.ready = task.deadline = None
        return ready()  # no other thread has run since it was chosen

    def _schedule(self) -> None:
        """Let one thread after the other run, each until it waits or ends."""
        while True:
            self._current = self._next()
            self._current.run.switch()

    def _next(self) -> _Task:
        while True:
            ready = [task for task in self._tasks if task.ready is None or self._is_due(task) or task.ready()]
            if ready:
                return ready[0] if len(ready) == 1 else self._chance.choice(ready)
            deadlines = [task.deadline for task in self._tasks if task.deadline is not None]
            if not deadlines:
                names = ", ".join(task.name for task in self._tasks)
                raise DeadlockError(f"all wait: {names or 'no thread is left'}")
            self._now = min(deadlines)

    def _is_due(self, task: _Task) -> bool:
        return task.deadline is not None and task.deadline <= self._now

    def begin(self, target: Callable[..., object], name: str, args: tuple[object, ...]) -> _Task:
        """Start a thread, which runs once the others wait."""

        def run() -> None:
            try:
                target(*args)
            except Exception as error:  # as a thread's: it ends, and is reported
                threading.excepthook(
                    threading.ExceptHookArgs((type(error), error, error.__traceback__, None))
                )
            finally:
                task.ended = True
                if task in self._tasks:
                    self._tasks.remove(task)

        task = _Task(name, greenlet(run, parent=self._scheduler))
        self._tasks.append(task)
        return task

    # -- what can be waited for --------------------------------------------------------------------------------

    def lock(self) -> runtime.Lock:
        """Return a lock."""
        return _Semaphore(self, 1)

    def semaphore(self, value: int) -> runtime.Lock:
        """Return a lock that so many may have at once."""
        return _Semaphore(self, value)

    def event(self) -> runtime.Event:
        """Return an event."""
        return _Event(self)

    def condition(self) -> runtime.Condition:
        """Return a condition."""
        return _Condition(self)

    def queue(self) -> runtime.Queue[Any]:
        """Return a queue."""
        return _Queue(self)

    def thread(
        self, target: Callable[..., object], *, name: str, args: tuple[object, ...] = ()
    ) -> runtime.Thread:
        """Return a thread."""
        return _Thread(self, target, name, args)

    def timer(
        self, seconds: float, call: Callable[..., object], args: tuple[object, ...] = ()
    ) -> runtime.Timer:
        """Return a timer."""
        return _Timer(self, seconds, call, args)

    def pool(self, workers: int, *, name: str) -> Executor:
        """Return a pool."""
        return _Pool(self, workers, name)

    def all_done(self, calls: Collection[Future[Any]], timeout: float) -> bool:
        """Let others run until all calls have ended, or until the timeout; return whether they have."""
        return self.wait(lambda: all(call.done() for call in calls), timeout)

    def result(self, call: Future[T], timeout: float | None = None) -> T:
        """Let others run until a call has ended; return its result."""
        self.wait(call.done, timeout)
        return call.result(0)

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop in virtual time."""
        return _EventLoop(self)


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


class _Semaphore:
    def __init__(self, virtual: VirtualRuntime, value: int) -> None:
        self._virtual, self._value = virtual, value

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        seconds = None if timeout < 0 else timeout
        if not self._virtual.wait(lambda: self._value > 0, seconds if blocking else 0.0):
            return False
        self._value -= 1
        return True

    def release(self) -> None:
        self._value += 1

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.release()


class _Event:
    def __init__(self, virtual: VirtualRuntime) -> None:
        self._virtual, self._set = virtual, False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        return self._virtual.wait(self.is_set, timeout)


class _Condition(_Semaphore):
    def __init__(self, virtual: VirtualRuntime) -> None:
        super().__init__(virtual, 1)

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        self.release()
        self._virtual.wait(lambda: bool(predicate()), timeout)
        self.acquire()
        return predicate()

    def notify_all(self) -> None:
        """Nothing: the condition of each waiting thread is evaluated before each turn."""


class _Queue:
    def __init__(self, virtual: VirtualRuntime) -> None:
        self._virtual, self._items = virtual, deque[Any]()

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not self._virtual.wait(lambda: bool(self._items), timeout if block else 0.0):
            raise runtime.Empty
        return self._items.popleft()

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def empty(self) -> bool:
        return not self._items


class _Thread:
    def __init__(
        self, virtual: VirtualRuntime, target: Callable[..., object], name: str, args: tuple[object, ...]
    ) -> None:
        self._virtual, self._target, self._args, self.name = virtual, target, args, name
        self._task: _Task | None = None

    def start(self) -> None:
        self._task = self._virtual.begin(self._target, self.name, self._args)

    def join(self, timeout: float | None = None) -> None:
        self._virtual.wait(lambda: not self.is_alive(), timeout)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.ended


class _Timer:
    def __init__(
        self, virtual: VirtualRuntime, seconds: float, call: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        self._cancelled = _Event(virtual)

        def run() -> None:
            if not self._cancelled.wait(seconds):
                call(*args)

        self._thread = _Thread(virtual, run, "timer", ())

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        self._cancelled.set()


class _Pool(Executor):
    def __init__(self, virtual: VirtualRuntime, workers: int, name: str) -> None:
        self._virtual, self._name = virtual, name
        self._workers = virtual.semaphore(workers)
        self._futures: list[Future[Any]] = []

    def submit(self, call: Callable[..., T], /, *args: Any, **keywords: Any) -> Future[T]:
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
        futures = [self.submit(call, *args) for args in zip(*iterables, strict=False)]
        return (self._virtual.result(future, timeout) for future in futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            for future in self._futures:
                future.cancel()
        if wait:
            self._virtual.wait(lambda: all(future.done() for future in self._futures), None)


class _EventLoop(asyncio.SelectorEventLoop):
    """An event loop that lets the other threads run while it has nothing to do."""

    def __init__(self, virtual: VirtualRuntime) -> None:
        self._virtual, self._idle = virtual, _Selector(virtual)
        super().__init__(self._idle)

    def time(self) -> float:
        return self._virtual.monotonic()

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._idle.woken = True
        return super().call_soon_threadsafe(callback, *args, context=context)


class _Selector(selectors.SelectSelector):
    def __init__(self, virtual: VirtualRuntime) -> None:
        super().__init__()
        self._virtual, self.woken = virtual, False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._virtual.wait(lambda: self.woken, timeout)
        self.woken = False
        return super().select(0)

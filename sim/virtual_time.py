"""Virtual time: the shipped code runs as ever, one thread at a time, and nothing waits.

`VirtualRuntime` takes the place of this machine's runtime (system/runtime.py). Its threads are greenlets, of which
exactly one runs, until it waits for something. Then the seed chooses the next one among those that are ready. When
none is ready, the clock jumps to the earliest deadline of those that wait. So an hour takes milliseconds, goes the
same way each time, and other seeds try other orders. (Threads of the operating system would do the same, twice as
slowly: each change from one to the next is a matter of the kernel.)

Each thread belongs to a process (processes.py), which can be stopped and killed, and whose clocks may differ from
the world's. Only what comes from the runtime can be waited for, its pools and event loops included (one event loop
at a time). A thread from elsewhere (a server, a library) must not call into code that runs here.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Self, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from locum_actuator.system import runtime
from sim.processes import Process
from sim.waitables import Condition, Event, EventLoop, Pool, Queue, Semaphore, Thread, Timer

T = TypeVar("T")
STARTS_AT = 1000.0  # the clock's first moment: 0 would hide a moment that was never set
WALL_AT = 1_700_000_000.0
SHORTEST_SECONDS = 1e-6  # of any wait: the clock's numbers cannot tell much shorter times apart
MOST_TURNS = 100_000  # of all threads at one moment: more means that one of them spins
OTHERS_FIRST = 0.1  # how often a thread that need not wait lets another one go first


def _never() -> bool:
    """Return False: what a thread that sleeps waits for."""
    return False


class DeadlockError(AssertionError):
    """Every thread waits for something that no other can bring about."""


class Task:
    """One thread: what it waits for, and until when at most."""

    __slots__ = ("deadline", "ended", "name", "process", "ready", "run")

    def __init__(self, name: str, run: greenlet, process: Process) -> None:
        self.name = name
        self.run = run
        self.process = process
        self.ready: Callable[[], bool] | None = None  # None: it does not wait
        self.deadline: float | None = None
        self.ended = False  # then it is no longer one of the runtime's tasks


class VirtualRuntime(runtime.Runtime):
    """A runtime whose clock only moves while everybody waits."""

    active: ClassVar[VirtualRuntime]  # the one that runs, or ran last

    def __init__(self, seed: int = 0) -> None:
        self._now = STARTS_AT
        self._chance = random.Random(seed)
        self._tasks: list[Task] = []
        self._turns = 0  # since the clock last went on
        # Never run again; kept, because Python would end them in some other thread.
        self._killed: list[Task] = []
        self._current: Task | None = None  # None: nothing runs here
        self._scheduler = greenlet(self._schedule)
        self.world = Process("world")  # of every thread that belongs to no other process

    # -- the clock ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Return the world's time, which no machine's clock has to agree with."""
        return self._now

    def monotonic(self) -> float:
        """Return the clock's seconds."""
        return self._now + self._process.clocks.monotonic

    def since_boot(self) -> float:
        """Return the clock's seconds, and those of suspension."""
        return self._now + self._process.clocks.since_boot

    def wall_time(self) -> float:
        """Return the clock's seconds since the epoch."""
        return WALL_AT + self._now + self._process.clocks.wall

    def sleep(self, seconds: float) -> None:
        """Let others run until so much later."""
        self.wait(_never, seconds)

    def random(self) -> float:
        """Return a number of [0, 1) by the seed."""
        return self._chance.random()

    def suspend(self, seconds: float) -> None:
        """Let so much go by for the clock since boot alone, as while this machine is suspended."""
        self._process.clocks.since_boot += seconds

    # -- processes ---------------------------------------------------------------------------------------------

    @property
    def _process(self) -> Process:
        return self.world if self._current is None else self._current.process

    def spawn(self, process: Process, target: Callable[..., object], *, name: str) -> None:
        """Start a thread of another process than the caller's."""
        if not process.killed:
            self.begin(target, name, (), process)

    def kill(self, process: Process) -> None:
        """End all threads of a process where they are: nothing that they would still do is done.

        If the caller is one of them it goes on to its next wait (or to `obey`), and no further.
        """
        process.killed = True
        self._killed += [task for task in self._tasks if task.process is process]
        self._tasks = [task for task in self._tasks if task.process is not process]

    def put_off(self, process: Process, seconds: float) -> None:
        """Let the waits of a process end later, because its monotonic clock stood still for so long."""
        for task in self._tasks:
            if task.process is process and task.deadline is not None:
                task.deadline += seconds

    def obey(self) -> None:
        """Let the caller go no further if its process was stopped or killed meanwhile."""
        task = self._current
        if task is not None and (task.process.stopped or task.process.killed):
            task.ready = task.deadline = None
            self._scheduler.switch()

    # -- who runs ----------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Let the caller be the first thread, in place of this machine's runtime.

        Threads that have not begun by the end never do, as if their process had ended. Afterwards the same clock
        can be used again.
        """
        task = Task("main", getcurrent(), self.world)
        self._tasks.append(task)
        self._current = task
        VirtualRuntime.active = self
        try:
            with runtime.use(self):
                yield self
        finally:
            self._current, task.ended = None, True
            self._tasks = [other for other in self._tasks if other.run and other is not task]

    def end(self) -> None:
        """End all threads that are left, so that Python need not do it at some later time."""
        left, self._tasks, self._killed = [*self._killed, *self._tasks], [], []
        for task in left:
            if task.run and not task.run.dead and task.run is not getcurrent():
                task.run.parent = getcurrent()
                with suppress(BaseException):
                    task.run.throw(GreenletExit)

    def wait(self, ready: Callable[[], bool], seconds: float | None) -> bool:
        """Let others run until something is true, or so much later; return whether it is true.

        Where it is true already another thread may run first all the same: that is how orders differ by the seed.
        """
        task = self._current
        if seconds is not None and seconds <= 0 and (task is None or not task.process.killed):
            return ready()
        if task is None:
            raise GreenletExit  # nothing runs here any more: Python removes a thread that was left
        assert task.run is getcurrent(), "a thread that the virtual runtime does not know may not wait in it"
        may_go_on = not (task.process.killed or task.process.stopped) and ready is not _never and ready()
        if may_go_on and (len(self._tasks) == 1 or self._chance.random() >= OTHERS_FIRST):
            return True
        task.ready = ready
        task.deadline = None if seconds is None else self._now + max(seconds, SHORTEST_SECONDS)
        self._scheduler.switch()
        task.ready = task.deadline = None
        return ready()  # no other thread has run since it was chosen

    def _schedule(self) -> None:
        """Let one thread after the other run, each until it waits or ends."""
        while True:
            self._current = self._next()
            self._current.run.switch()

    def _next(self) -> Task:
        """Return a thread that is ready; the clock goes on until there is one."""
        while True:
            now, ready, earliest = self._now, [], float("inf")
            for task in self._tasks:
                if task.process.stopped:
                    continue
                test, due = task.ready, task.deadline
                if (due is not None and due <= now) or test is None or (test is not _never and test()):
                    ready.append(task)
                elif due is not None and due < earliest:
                    earliest = due
            if ready:
                self._turns += 1
                if self._turns > MOST_TURNS:
                    raise DeadlockError(f"{ready[0].name} spins: the clock does not go on")
                return ready[0] if len(ready) == 1 else self._chance.choice(ready)
            if earliest == float("inf"):
                names = ", ".join(task.name for task in self._tasks)
                raise DeadlockError(f"all wait: {names or 'no thread is left'}")
            self._now, self._turns = earliest, 0

    def begin(
        self,
        target: Callable[..., object],
        name: str,
        args: tuple[object, ...],
        process: Process | None = None,
    ) -> Task:
        """Start a thread, which runs once the others wait; of the caller's process unless another is given."""

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

        task = Task(name, greenlet(run, parent=self._scheduler), process or self._process)
        if task.process.killed:
            self._killed.append(task)
        else:
            self._tasks.append(task)
        return task

    # -- what can be waited for --------------------------------------------------------------------------------

    def lock(self) -> runtime.Lock:
        """Return a lock."""
        return Semaphore(self, 1)

    def semaphore(self, value: int) -> runtime.Lock:
        """Return a lock that so many may have at once."""
        return Semaphore(self, value)

    def event(self) -> runtime.Event:
        """Return an event."""
        return Event(self)

    def condition(self) -> runtime.Condition:
        """Return a condition."""
        return Condition(self)

    def queue(self) -> runtime.Queue[Any]:
        """Return a queue."""
        return Queue(self)

    def thread(
        self, target: Callable[..., object], *, name: str, args: tuple[object, ...] = ()
    ) -> runtime.Thread:
        """Return a thread."""
        return Thread(self, target, name, args)

    def timer(
        self, seconds: float, call: Callable[..., object], args: tuple[object, ...] = ()
    ) -> runtime.Timer:
        """Return a timer."""
        return Timer(self, seconds, call, args)

    def pool(self, workers: int, *, name: str) -> Executor:
        """Return a pool."""
        return Pool(self, workers, name)

    def all_done(self, calls: Collection[Future[Any]], timeout: float) -> bool:
        """Let others run until all calls have ended, or until the timeout; return whether they have."""
        return self.wait(lambda: all(call.done() for call in calls), timeout)

    def result(self, call: Future[T], timeout: float | None = None) -> T:
        """Let others run until a call has ended; return its result."""
        self.wait(call.done, timeout)
        return call.result(0)

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop in virtual time."""
        return EventLoop(self)

"""The shipped threads, queues and waits in virtual time: hours in milliseconds, and the same way each time."""

from __future__ import annotations

import asyncio
import time

import pytest

from locum_actuator.system import runtime
from locum_actuator.system.background import BackgroundThread, Health
from sim.virtual_time import DeadlockError, VirtualRuntime


def test_an_hour_takes_no_time() -> None:
    begun = time.monotonic()
    with VirtualRuntime().running():
        at = runtime.monotonic()
        runtime.sleep(3600.0)
        assert runtime.monotonic() - at == 3600.0
    assert time.monotonic() - begun < 5.0


def test_a_queue_hands_over_in_order_and_ends_its_wait_in_time() -> None:
    with VirtualRuntime().running():
        queue: runtime.Queue[int] = runtime.new_queue()

        def produce() -> None:
            for number in range(3):
                runtime.sleep(10.0)
                queue.put(number)

        runtime.thread(produce, name="producer").start()
        at = runtime.monotonic()
        assert [queue.get() for _ in range(3)] == [0, 1, 2]
        assert runtime.monotonic() - at == 30.0
        with pytest.raises(runtime.Empty):
            queue.get(timeout=5.0)
        assert runtime.monotonic() - at == 35.0


def test_a_lock_is_held_by_one_and_the_order_is_the_seeds() -> None:
    def run(seed: int) -> list[str]:
        log: list[str] = []
        with VirtualRuntime(seed).running():
            lock = runtime.lock()

            def work(name: str) -> None:
                for _ in range(3):
                    with lock:
                        log.append(f"{name} has it")
                        runtime.sleep(1.0)
                        log.append(f"{name} gives it back")

            threads = [runtime.thread(work, name=name, args=(name,)) for name in "abc"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return log

    logs = [run(seed) for seed in (1, 1, 2, 3, 4)]
    assert logs[0] == logs[1]
    assert len({tuple(log) for log in logs}) > 1, "another seed is another order"
    for log in logs:
        assert all(
            back == f"{had.split()[0]} gives it back" for had, back in zip(log[::2], log[1::2], strict=True)
        )


def test_a_background_thread_that_fails_is_run_again_after_a_second() -> None:
    with VirtualRuntime().running():
        at, runs = runtime.monotonic(), list[float]()

        def body() -> None:
            runs.append(runtime.monotonic() - at)
            if len(runs) < 3:
                raise ValueError("a fault")

        thread = BackgroundThread("test", body, Health())
        thread.start()
        thread.join()
        assert runs == [0.0, 1.0, 2.0]


def test_a_deadlock_is_a_fault_of_the_test_and_no_hanging() -> None:
    with VirtualRuntime().running(), pytest.raises(DeadlockError, match="all wait: main"):
        runtime.event().wait()


def test_a_timer_comes_unless_it_is_cancelled() -> None:
    with VirtualRuntime().running():
        came = list[str]()
        for name in ("first", "second"):
            timer = runtime.timer(5.0, came.append, (name,))
            timer.start()
        timer.cancel()
        runtime.sleep(10.0)
        assert came == ["first"]


def test_a_pool_runs_so_many_calls_at_once_and_hands_on_what_they_raise() -> None:
    def work(number: int) -> int:
        runtime.sleep(10.0)
        return 6 // number

    with VirtualRuntime().running(), runtime.pool(2, name="test") as pool:
        at = runtime.monotonic()
        assert list(pool.map(work, (1, 2, 3))) == [6, 3, 2]
        assert runtime.monotonic() - at == 20.0
        slow, wrong = pool.submit(work, 1), pool.submit(work, 0)
        assert not runtime.all_done([slow, wrong], 5.0)
        with pytest.raises(TimeoutError):
            runtime.result(slow, 1.0)
        with pytest.raises(ZeroDivisionError):
            runtime.result(wrong)
        assert runtime.all_done([slow, wrong], 5.0)
        assert runtime.monotonic() - at == 30.0


def test_an_event_loop_sleeps_in_virtual_time_and_is_woken_by_other_threads() -> None:
    with VirtualRuntime().running():
        at, loop = runtime.monotonic(), runtime.event_loop()
        thread = runtime.thread(loop.run_forever, name="loop")
        thread.start()

        async def work() -> float:
            await asyncio.sleep(100.0)
            with runtime.pool(1, name="test") as pool:
                await loop.run_in_executor(pool, runtime.sleep, 50.0)
            return runtime.monotonic() - at

        assert runtime.result(asyncio.run_coroutine_threadsafe(work(), loop), 200.0) == 150.0
        with pytest.raises(TimeoutError):
            runtime.result(asyncio.run_coroutine_threadsafe(asyncio.sleep(3600.0), loop), 10.0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_thread_that_spins_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def spin() -> None:
        while True:
            one = runtime.thread(lambda: None, name="one")
            one.start()
            one.join()

    monkeypatch.setattr("sim.virtual_time.MOST_TURNS", 100)
    with VirtualRuntime().running(), pytest.raises(DeadlockError, match="spins"):
        spin()

"""A prompt gate: what proves that a line is clean where the host limits its echoes, and what does not."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from locum_actuator.observation.prompt_gate import PROMPT_CALLS, PROMPT_SECONDS, is_prompt


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def judged(call: Callable[[float], bool], pool: ThreadPoolExecutor, look_seconds: float = 0.0) -> bool:
    beside = asyncio.ensure_future(asyncio.sleep(look_seconds))
    try:
        return await is_prompt(call, pool, beside, 0.0)
    finally:
        beside.cancel()


async def test_b6_many_prompt_calls_in_a_row(pool: ThreadPoolExecutor) -> None:
    calls: list[float] = []

    def call(seconds: float) -> bool:
        calls.append(seconds)
        return True

    assert await judged(call, pool)
    assert calls == [PROMPT_SECONDS] * PROMPT_CALLS


async def test_b6_the_calls_last_as_long_as_the_look(pool: ThreadPoolExecutor) -> None:
    """A line that loses while the service is asked and is clean afterwards proves nothing."""
    over: list[bool] = []
    beside: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def call(_: float) -> bool:
        over.append(beside.done())
        if len(over) == 3 * PROMPT_CALLS:
            loop.call_soon_threadsafe(beside.set_result, None)
        return True

    loop = asyncio.get_running_loop()
    assert await is_prompt(call, pool, beside, 0.0)
    assert len(over) >= 3 * PROMPT_CALLS


def _late(_: int) -> bool:
    time.sleep(PROMPT_SECONDS + 0.01)
    return True


LATE: dict[str, Callable[[int], bool]] = {
    "the first fails": lambda number: number != 1,
    "the last fails": lambda number: number != PROMPT_CALLS,
    "the last is late": lambda number: number != PROMPT_CALLS or _late(number),
}


@pytest.mark.parametrize("answer", LATE.values(), ids=LATE)
async def test_b6_one_late_call_ends_it(answer: Callable[[int], bool], pool: ThreadPoolExecutor) -> None:
    calls: list[int] = []

    def call(_: float) -> bool:
        calls.append(1)
        return answer(len(calls))

    assert not await judged(call, pool)


def test_b6_behind_loss_a_gate_passes_for_prompt_less_than_once_in_a_million() -> None:
    """By arithmetic, since a million bursts cannot be awaited: each call is two round trips at least."""
    for lost_each_way in (0.3, 0.6):
        one_call = (1 - lost_each_way) ** (2 * 2)
        assert one_call**PROMPT_CALLS < 1e-6


async def test_b6_under_loss_a_burst_of_calls_is_not_prompt(pool: ThreadPoolExecutor) -> None:
    """A packet lost costs the kernel's 200 ms, so the call is late; 2,000 bursts behind 30 % loss each way."""
    draw = random.Random(7719)

    def call(_: float) -> bool:
        return all(draw.random() >= 0.3 for _ in range(4))  # two round trips, none lost

    assert not any([await judged(call, pool) for _ in range(2000)])

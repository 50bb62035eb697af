"""Measure whether a host's gate is prompt: proof of a clean line if pings are limited or filtered.

One call over the kept SSH connection takes at least two round trips (RFC 4254: opening a channel and requesting a
command, each with an answer), and a lost packet in either costs 200 ms, the kernel's shortest retransmission
timeout. Ten calls that each end sooner are therefore twenty round trips without loss, as many as a burst has
echoes: behind 30 % loss each way that happens once in 1.5 million times (0.49^20).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from locum_actuator.system import runtime

PROMPT_CALLS = 10
PROMPT_SECONDS = 0.15  # for one call: less than a lost packet costs


async def is_prompt(
    call: Callable[[float], bool],
    executor: runtime.Executor,
    during: asyncio.Future[Any],
    spacing_seconds: float,
) -> bool:
    """Call the gate repeatedly until `during` is done; return whether every call ended in time.

    At least PROMPT_CALLS calls are made, one after another; the first that fails or is late ends the measurement.
    `call` gets its deadline in seconds, and runs in a thread.
    """
    loop = asyncio.get_running_loop()
    calls = 0
    while calls < PROMPT_CALLS or not during.done():
        begun = loop.time()
        if not await loop.run_in_executor(executor, _in_time, call):
            return False
        calls += 1
        if not during.done():
            await asyncio.sleep(max(0.0, begun + spacing_seconds - loop.time()))
    return True


def _in_time(call: Callable[[float], bool]) -> bool:
    begun = runtime.monotonic()
    return call(PROMPT_SECONDS) and runtime.monotonic() - begun <= PROMPT_SECONDS

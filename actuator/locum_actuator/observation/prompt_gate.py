"""Whether a host's gate is prompt: proof of a clean line where pings are limited or filtered.

One call over the kept SSH connection takes two round trips at least (RFC 4254: a channel is opened, then a command
requested, each with an answer), and of either a lost packet costs 200 ms, the kernel's shortest retransmission
timeout. So ten calls that each end sooner are twenty round trips without loss, as many as a burst has echoes:
behind 30 % loss each way that happens once in 1.5 million times (0.49^20).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from locum_actuator.system import runtime

PROMPT_CALLS = 10
PROMPT_SECONDS = 0.15  # for one call: less than a lost packet costs


async def is_prompt(
    call: Callable[[float], bool], executor: Executor, beside: asyncio.Future[Any], spacing_seconds: float
) -> bool:
    """Call the gate again and again while `beside` is under way; tell whether every call ended in time.

    There are PROMPT_CALLS calls at least, one after another, and the first that fails or is late ends it. `call`
    blocks for no longer than the seconds it is given, and is run in a thread.
    """
    loop = asyncio.get_running_loop()
    calls = 0
    while calls < PROMPT_CALLS or not beside.done():
        begun = loop.time()
        if not await loop.run_in_executor(executor, _in_time, call):
            return False
        calls += 1
        if not beside.done():
            await asyncio.sleep(max(0.0, begun + spacing_seconds - loop.time()))
    return True


def _in_time(call: Callable[[float], bool]) -> bool:
    begun = runtime.monotonic()
    return call(PROMPT_SECONDS) and runtime.monotonic() - begun <= PROMPT_SECONDS

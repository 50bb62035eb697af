"""An exporter that was held up has not found that nothing answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from locum_exporter.event_loop_lag import LoopLag
from locum_exporter.net.icmp import Pinger
from locum_exporter.net.neighbours import Neighbours
from locum_exporter.probe_request import ProbeRequest
from locum_exporter.result import Outcome
from locum_exporter.runner import Runner
from tests.exporter.servers import server, silent
from tests.exporter.sites import service, site
from tests.support.ports import unused_port

pytestmark = pytest.mark.timed  # some of its deadlines are some tenths of a second

SECONDS = 0.4
HOST = "127.0.0.11"  # of a in the site file


@asynccontextmanager
async def asking(port: int, **check: object) -> AsyncIterator[Runner]:
    async with LoopLag() as lag, Pinger() as pinger, Neighbours() as neighbours:
        values = site(services={"www": service(checks={"tcp": {"port": port, **check}})})
        yield Runner(values, this_name=None, pinger=pinger, neighbours=neighbours, gates={}, lag=lag)


async def look(runner: Runner, held_up_seconds: float) -> tuple[str | None, Outcome, str]:
    checking = asyncio.create_task(runner.run_one(ProbeRequest("tcp", "www", "a"), SECONDS))
    await asyncio.sleep(0.05)
    time.sleep(held_up_seconds)  # noqa: ASYNC251 - that is the point
    result = await checking
    return result.reason, result.outcome, result.text


HELD_UP = {"idle": (0.0, "timeout"), "held up for most of the time": (0.35, "busy"), "stopped": (1.0, "busy")}


@pytest.mark.parametrize("row", HELD_UP)
async def test_a1_a_timeout_while_this_host_was_held_up_is_no_look(row: str) -> None:
    seconds, reason = HELD_UP[row]
    async with server(silent, host=HOST) as port, asking(port, expect="220") as runner:
        found, outcome, text = await look(runner, seconds)
    assert found == reason
    assert outcome is (Outcome.NOT_LOOKED if reason == "busy" else Outcome.FAILED)
    assert ("too busy" in text) == (reason == "busy")


async def test_what_was_answered_counts_however_busy() -> None:
    """A refusal is an answer, and so is a connection."""
    async with asking(unused_port(HOST)) as runner:
        assert (await look(runner, 1.0))[0] == "refused"
    async with server(silent, host=HOST) as port, asking(port) as runner:
        assert (await look(runner, 0.35))[1] is Outcome.WELL


async def test_how_late_it_was_is_known_for_a_while_and_by_moment() -> None:
    async with LoopLag() as lag:
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(0.05)
        time.sleep(0.3)  # noqa: ASYNC251 - that is the point
        assert lag.worst_seconds(begun) > 0.2, "also before the loop has turned again"
        await asyncio.sleep(0.1)
        assert lag.worst_seconds(begun) > 0.2
        assert lag.worst_seconds(asyncio.get_running_loop().time()) < 0.2

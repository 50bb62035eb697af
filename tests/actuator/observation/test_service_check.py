"""Looks that could not be made are no failures: not of a host that was busy, nor of one out of descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from locum_actuator.domain.situation import CheckOutcome
from locum_actuator.observation.event_loop_lag import EventLoopLag
from locum_actuator.observation.service_check import look_at_service
from locum_exporter.net.icmp import Pinger
from locum_exporter.result import Outcome
from locum_inventory.site.model import Checks
from tests.actuator.fakes import host
from tests.support.ports import closed_port

pytestmark = pytest.mark.timed  # its deadlines are some tenths of a second

HERE = IPv4Address("127.0.0.1")


@pytest.fixture
def refusing_port() -> Iterator[int]:
    with closed_port() as port:
        yield port


async def look(checks: Checks, seconds: float = 0.3) -> CheckOutcome:
    with ThreadPoolExecutor(1) as pool:
        return await look_at_service(
            checks,
            HERE,
            seconds,
            vantage_point="b",
            pinger=Pinger(),
            service="www",
            gate=None,
            executor=pool,
        )


def http(port: int) -> Checks:
    return Checks.model_validate({"http": {"url": f"http://{{host}}:{port}/"}})


def tcp(port: int) -> Checks:
    return Checks.model_validate({"tcp": {"port": port}})


async def test_a_refusal_is_a_failure(refusing_port: int) -> None:
    assert (await look(http(refusing_port))).outcome is Outcome.FAILED


@pytest.mark.parametrize("kind", [http, tcp])
async def test_no_descriptors_left_is_no_look(kind: Callable[[int], Checks], refusing_port: int) -> None:
    """A healthy holder would be taken over for what is missing on this host."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    await look(checks := kind(refusing_port))  # whatever opens files once
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        seen = await look(checks)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert seen.outcome is Outcome.NOT_LOOKED, seen.text
    assert "too many open files" in seen.text


async def test_a_ca_file_that_cannot_be_read_is_no_look(tmp_path: Path, refusing_port: int) -> None:
    checks = Checks.model_validate(
        {"http": {"url": f"https://{{host}}:{refusing_port}/", "ca_file": tmp_path / "gone.pem"}}
    )
    seen = await look(checks)
    assert seen.outcome is Outcome.NOT_LOOKED
    assert "the CA file cannot be used: no such file or directory" in seen.text


@pytest.mark.parametrize(
    ("busy_seconds", "outcome"),
    [(0.0, Outcome.FAILED), (0.05, Outcome.FAILED), (0.3, Outcome.NOT_LOOKED)],
    ids=["idle", "a little", "busy"],
)
async def test_a_failure_while_this_host_was_busy_is_no_look(busy_seconds: float, outcome: Outcome) -> None:
    async with EventLoopLag() as lag:
        await asyncio.sleep(0.03)
        time.sleep(busy_seconds)  # noqa: ASYNC251 - that is the point
        seen = lag.discount(host("a", elsewhere=False), "b")
    assert [look.outcome for look in seen.looks] == [outcome, Outcome.FAILED], "and what others saw stands"


async def test_a_success_counts_however_busy() -> None:
    async with EventLoopLag() as lag:
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 - that is the point
        assert lag.discount(host("a", serves=True), "b").serves


@pytest.mark.parametrize(
    ("answered_after", "well"),
    [
        pytest.param([None, 0.0], True, id="only the second"),
        pytest.param([0.2, None], True, id="the first, late"),
        pytest.param([None, None], False, id="neither"),
    ],
)
@pytest.mark.parametrize("kind", ["http", "tcp"])
async def test_what_is_lost_once_is_not_down(
    kind: str, answered_after: list[float | None], well: bool
) -> None:
    """Found by the campaign: a healthy holder whose one handshake was lost, at the end of a burst of loss."""
    came: list[asyncio.Task[None] | None] = []
    over = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seconds = answered_after[len(came)]
        came.append(asyncio.current_task())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), seconds)
        if not over.is_set():
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            over.set()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, str(HERE), 0)
    port = server.sockets[0].getsockname()[1]
    checks = (
        http(port) if kind == "http" else Checks.model_validate({"tcp": {"port": port, "expect": "HTTP/1.1"}})
    )
    seen = await look(checks, 0.4)
    over.set()
    await asyncio.gather(*filter(None, came))
    server.close()
    assert (seen.outcome is Outcome.WELL) is well, seen.text
    assert len(came) == 2
    assert well or "within 400 ms" in seen.text, "in the words of the one that had all the time"


async def test_who_answers_soon_is_asked_once() -> None:
    came: list[int] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        writer.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, str(HERE), 0)
    seen = await look(http(server.sockets[0].getsockname()[1]))
    server.close()
    assert seen.outcome is Outcome.FAILED
    assert came == [1]

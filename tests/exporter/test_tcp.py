"""The TCP check against real servers."""

import asyncio
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

from locum_exporter.checks.tcp import tcp
from locum_exporter.result import Outcome
from locum_inventory.model import TcpCheck
from tests.exporter.servers import Talk, resetting, says, server, silent, unused_port

DEADLINE_SECONDS = 0.4
BANNER = b"220 mail.example.org ESMTP ready\r\n"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(b"you said " + data)
        await writer.drain()


async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read nothing at all, so that the client's words pile up."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # the transport of a server reads
    await asyncio.sleep(60)


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Row:
    talk: Talk
    reason: str | None
    text: str
    check: dict[str, Any] = field(default_factory=dict)


ROWS: dict[str, Row] = {
    "accepts": Row(silent, None, "accepts connections"),
    "greets": Row(says(BANNER), None, "answered as expected", {"expect": "220 "}),
    "greets in packets of one byte": Row(
        says(*(BANNER[at : at + 1] for at in range(10)), pause_seconds=0.01), None, "answered as expected",
        {"expect": "220 mail"},
    ),
    "answers what was sent": Row(echo, None, "answered as expected", {"send": "PING\r\n", "expect": "said PING"}),
    "takes what was sent": Row(silent, None, "accepts connections", {"send": "hello"}),
    "closes at once, but nothing was expected": Row(says(), None, "accepts connections"),
    "says something else": Row(
        says(b"554 go away\r\n"), "body", "closed the connection after 13 bytes without '220 '", {"expect": "220 "}
    ),
    "closes without a word": Row(
        says(), "body", "closed the connection after 0 bytes without '220 '", {"expect": "220 "}
    ),
    "talks and talks": Row(
        says(b"x" * 200_000), "body", "the first 65536 bytes do not contain '220 '", {"expect": "220 "}
    ),
    "a byte at a time": Row(drip, "timeout", "no answer that was expected within 400 ms", {"expect": "220 "}),
    "accepts and says nothing": Row(
        silent, "timeout", "no answer that was expected within 400 ms", {"expect": "220 "}
    ),
    "reads nothing": Row(
        deaf, "timeout", "no answer that was expected within 400 ms", {"send": "x" * 20_000_000}
    ),
    "breaks off with a reset": Row(
        resetting, "reset", "connection reset by peer", {"send": "hello", "expect": "220 "}
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
async def test_tcp(row: str) -> None:
    wanted = ROWS[row]
    started_at = time.perf_counter()
    async with server(wanted.talk) as port:
        result = await tcp(TcpCheck(port=port, **wanted.check), ip_address("127.0.0.1"), DEADLINE_SECONDS)
    assert (result.reason, result.text.partition(": ")[2]) == (wanted.reason, wanted.text)
    assert "connect_seconds" in result.details
    assert time.perf_counter() - started_at < DEADLINE_SECONDS + 0.3


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_refused(host: str) -> None:
    result = await tcp(TcpCheck(port=unused_port(host)), ip_address(host), DEADLINE_SECONDS)
    assert (result.reason, result.text.partition(": ")[2]) == ("refused", "connection refused")
    assert result.details == {}


async def test_ipv6() -> None:
    async with server(says(BANNER), host="::1") as port:
        result = await tcp(TcpCheck(port=port, expect="220"), ip_address("::1"), DEADLINE_SECONDS)
    assert result.outcome is Outcome.WELL

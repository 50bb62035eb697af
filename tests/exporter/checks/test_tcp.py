"""The TCP check against real servers."""

import asyncio
import struct
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from locum_exporter.checks.tcp import tcp
from locum_exporter.result import Outcome
from locum_inventory.site.model import TcpCheck
from tests.exporter.servers import Talk, resetting, says, server, silent
from tests.inventory.site.test_load import SOUND, read
from tests.support.ports import unused_port

pytestmark = pytest.mark.timed  # its deadlines are some tenths of a second

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
    "a byte at a time": Row(drip, "timeout", "not the expected answer within 400 ms", {"expect": "220 "}),
    "accepts and says nothing": Row(
        silent, "timeout", "not the expected answer within 400 ms", {"expect": "220 "}
    ),
    "reads nothing": Row(
        deaf, "timeout", "not the expected answer within 400 ms", {"send": "x" * 20_000_000}
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


async def ssl_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as PostgreSQL does: N to an SSLRequest, nothing to anything else."""
    if await reader.readexactly(8) == struct.pack("!II", 8, 80877103):
        writer.write(b"N")


async def needs_crlf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a line that ends in CR LF, as Redis does."""
    if await reader.readuntil(b"\r\n") == b"PING\r\n":
        writer.write(b"+PONG\r\n")


async def telnet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\xff\xfd\x18")
    await asyncio.sleep(60)


SPOKEN: dict[str, tuple[Talk, dict[str, str]]] = {
    "PostgreSQL's SSLRequest": (
        ssl_request,
        {"send": r'"\x00\x00\x00\x08\x04\xd2\x16\x2f"', "expect": "N"},
    ),
    "the same in single quotes": (
        ssl_request,
        {"send": r"'\x00\x00\x00\x08\x04\xd2\x16\x2f'", "expect": "N"},
    ),
    "Redis in single quotes": (needs_crlf, {"send": r"'PING\r\n'", "expect": r"'+PONG\r\n'"}),
    "Redis in double quotes": (needs_crlf, {"send": r'"PING\r\n"', "expect": r'"+PONG\r\n"'}),
    "telnet, which begins with bytes beyond ASCII": (telnet, {"expect": r'"\xff\xfd"'}),
}


@pytest.mark.parametrize("row", SPOKEN)
async def test_c4_a_server_hears_the_bytes_of_the_site_file(row: str, tmp_path: Path) -> None:
    talk, written = SPOKEN[row]
    async with server(talk) as port:
        words = "".join(f", {key}: {text}" for key, text in written.items())
        site = read(
            tmp_path,
            SOUND.replace(
                '{http: {url: "http://{host}/"}, process: {name: apache2}}',
                f"{{tcp: {{port: {port}{words}}}}}",
            ),
        )
        check = site.services["www"].checks.tcp
        assert check is not None
        result = await tcp(check, ip_address("127.0.0.1"), 10.0)
    assert (result.reason, result.text.partition(": ")[2]) == (None, "answered as expected")

"""Check a TCP service: connect, send, expect. Details: `connect_seconds`."""

from __future__ import annotations

import asyncio
import time

from locum_exporter.net.os_errors import reason_of_os_error, text_of_os_error
from locum_exporter.result import CheckResult, Reason
from locum_inventory.errors import LocumError
from locum_inventory.site.model import Address, TcpCheck
from locum_inventory.site.payload import shown_bytes

_LISTEN_BYTES = 65_536  # the expected text must be within these first bytes


class _CheckFailedError(LocumError):
    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


async def tcp(check: TcpCheck, address: Address, deadline_seconds: float) -> CheckResult:
    """Check whether a service accepts a connection and, if configured, answers as expected."""
    started_at = time.perf_counter()
    details: dict[str, object] = {}
    where = f"tcp {address} port {check.port}"
    try:
        async with asyncio.timeout(deadline_seconds):
            text = await _converse(check, address, details)
    except _CheckFailedError as failed:
        return CheckResult(failed.reason, _since(started_at), f"{where}: {failed}", details)
    except TimeoutError:
        stage = "not the expected answer" if "connect_seconds" in details else "no connection"
        text = f"{where}: {stage} within {deadline_seconds * 1000:.0f} ms"
        return CheckResult("timeout", _since(started_at), text, details)
    except OSError as error:
        text = f"{where}: {text_of_os_error(error)}"
        return CheckResult(reason_of_os_error(error), _since(started_at), text, details)
    return CheckResult(None, _since(started_at), f"{where}: {text}", details)


async def _converse(check: TcpCheck, address: Address, details: dict[str, object]) -> str:
    started_at = time.perf_counter()
    reader, writer = await asyncio.open_connection(str(address), check.port)
    try:
        details["connect_seconds"] = _since(started_at)
        if check.send:
            writer.write(check.send)
            await writer.drain()
        if check.expect:
            await _hear(reader, check.expect)
            return "answered as expected"
        return "accepts connections"
    finally:
        # Not `wait_closed`: with a peer that does not read, it would wait beyond the deadline.
        writer.transport.abort()


async def _hear(reader: asyncio.StreamReader, wanted: bytes) -> None:
    """Read until the expected text has arrived, however it is split into packets."""
    heard = bytearray()
    while wanted not in heard:
        if len(heard) >= _LISTEN_BYTES:
            raise _CheckFailedError(
                "body", f"the first {_LISTEN_BYTES} bytes do not contain {shown_bytes(wanted)}"
            )
        part = await reader.read(_LISTEN_BYTES - len(heard))
        if not part:
            raise _CheckFailedError(
                "body", f"closed the connection after {len(heard)} bytes without {shown_bytes(wanted)}"
            )
        heard += part


def _since(started_at: float) -> float:
    return time.perf_counter() - started_at

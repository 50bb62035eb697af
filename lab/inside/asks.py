"""Request the page of the service address at a steady pace, and print the result of each request.

Every request has its own connection and starts on schedule, even if earlier ones have not ended. A line of JSON per
request, when it has ended: its number, when it started (time.time()), how many seconds it took, which host answered
(null if none), and why it failed (null if it did not).

Usage: asks.py ADDRESS PORT PACE_SECONDS TIMEOUT_SECONDS HEADER
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
import time
from contextlib import suppress

LONGEST_ANSWER = 65536
TEXTS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
}


async def fetch(address: str, port: int) -> bytes:
    """Request the page and return the whole answer."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        host = f"[{address}]" if ":" in address else address
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while len(answer) < LONGEST_ANSWER and (some := await reader.read(LONGEST_ANSWER)):
            answer += some
        return answer
    finally:
        writer.transport.abort()


def judge(answer: bytes, header: str) -> tuple[str | None, str | None]:
    """Return the host that an answer came from, and why it is not good (None if it is)."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    names = [line.split(":", 1)[1].strip() for line in lines if line.lower().startswith(header.lower() + ":")]
    host = names[0] if names else None
    if not answer:
        return host, "empty"
    if " 200 " not in status + " ":
        return host, "status"
    return host, None if b"<html>" in body.lower() else "body"


async def ask(number: int, address: str, port: int, timeout_seconds: float, header: str) -> None:
    """Send one request and print its result."""
    started, clock = time.time(), time.monotonic()
    host = None
    try:
        async with asyncio.timeout(timeout_seconds):
            host, fault = judge(await fetch(address, port), header)
    except TimeoutError:
        fault = "timeout"
    except OSError as error:
        fault = TEXTS.get(error.errno or 0, str(error))
    seconds = round(time.monotonic() - clock, 6)
    line = {"number": number, "started": started, "seconds": seconds, "host": host, "fault": fault}
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)  # the reader has ended


async def main() -> None:
    """Send requests for ever."""
    address, port = sys.argv[1], int(sys.argv[2])
    pace_seconds, timeout_seconds, header = float(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
    with suppress(OSError):
        os.nice(-10)  # an observer without CPU time would report faults that do not exist
    running: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    due = loop.time()
    number = 0
    while True:
        task = asyncio.create_task(ask(number, address, port, timeout_seconds, header))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
        due = max(due + pace_seconds, loop.time())  # missed turns are skipped
        await asyncio.sleep(due - loop.time())


if __name__ == "__main__":
    asyncio.run(main())

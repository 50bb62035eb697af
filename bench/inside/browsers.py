"""Simulate browsers with the page open, and clients that request everything else; run on the actuator's host.

Arguments: browsers, port, seconds between two questions of such a client, number of an incident. Each browser opens
the page with its files, keeps its connection, and asks for the page's state with the ETag that it has, as often as
the state says: what live.js does. Writes one line of JSON for each answer: the path's name, when it was asked
(time.time()), seconds, status (0: there was no answer). Ends when its input ends.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

HOST = "127.0.0.1"
ANSWER_SECONDS = 10.0
STATE = "/page/live"
OPENED = (
    "/",
    "/page/static/page.css",
    "/page/static/live.js",
    "/page/static/morph.js",
    "/page/static/act.js",
)


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._etag = ""
        self.pace_seconds = 1.0

    async def ask(self, name: str, path: str) -> None:
        """Send one request and return its duration."""
        asked, begun = time.time(), time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, body = await self._answer(path)
        except (OSError, ValueError, EOFError, TimeoutError):
            self._streams, status, body = None, 0, b""
        print(json.dumps([name, asked, time.perf_counter() - begun, status]))
        if path == STATE and status == 200:
            self.pace_seconds = json.loads(body)["pace_seconds"]

    async def _answer(self, path: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        condition = f"If-None-Match: {self._etag}\r\n" if path == STATE and self._etag else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{self._port}\r\n{condition}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if path == STATE:
            self._etag = headers.get("etag", "")
        if headers.get("connection", "").lower() == "close":
            writer.close()
            self._streams = None
        return int(head[0].split()[1]), body


async def browse(port: int) -> None:
    """Be a browser."""
    await asyncio.sleep(random.random())
    client = Client(port)
    for path in OPENED:
        await client.ask(path, path)
    while True:
        await client.ask(STATE, STATE)
        await asyncio.sleep(client.pace_seconds)


async def ask_often(port: int, seconds: float, name: str, path: str) -> None:
    """Ask one thing again and again."""
    client = Client(port)
    await asyncio.sleep(random.random() * seconds)
    while True:
        await client.ask(name, path)
        await asyncio.sleep(seconds)


def the_rest(number: str) -> dict[str, str]:
    """Return what else there is to ask, by its name."""
    return {
        "/": "/",
        "/incidents": "/incidents",
        "/incidents?before=": f"/incidents?before={number}",
        "/incidents/N": f"/incidents/{number}",
        "/api/v1/services": "/api/v1/services",
        "/api/v1/incidents": "/api/v1/incidents",
        "/api/v1/incidents/N": f"/api/v1/incidents/{number}",
        "/-/healthy": "/-/healthy",
    }


async def main() -> None:
    """Run until the input ends."""
    browsers, port, seconds, number = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    tasks = [asyncio.create_task(browse(port)) for _ in range(browsers)]
    tasks += [asyncio.create_task(ask_often(port, seconds, *one)) for one in the_rest(number).items()]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())

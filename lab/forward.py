"""Make pages inside the lab reachable for a browser on this machine, on loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from lab.host import Host
from lab.needs import LabError

CLONE_NEWNET = 0x40000000  # setns(2)
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 600.0  # a connection without traffic for this long is closed
_LOOPBACK = "127.0.0.1"
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the lab as reachable from this machine. `note` is set if the preferred port was taken."""

    port: int
    note: str | None

    @property
    def url(self) -> str:
        """The URL for a browser."""
        return f"http://{_LOOPBACK}:{self.port}/"


def socket_in(pid: int) -> socket.socket:
    """Create a TCP socket in the network namespace of process `pid`.

    A socket stays in the namespace in which it was created. A separate thread enters the namespace and ends, so
    that all other threads stay in the machine's network.
    """
    made: list[socket.socket | OSError] = []

    def go() -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(namespace, CLONE_NEWNET) != 0:
                    code = ctypes.get_errno()
                    raise OSError(code, os.strerror(code))
            finally:
                os.close(namespace)
            made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        except OSError as fault:
            made.append(fault)

    thread = threading.Thread(target=go, name="lab-socket")
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


class Forwarder:
    """Listens on loopback and forwards connections to hosts of the lab. Runs in a thread until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab-forwarder", daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def forward(self, host: Host, port: int, *, address: str = _LOOPBACK, prefer: int = 0) -> Page:
        """Make `address`:`port` of a host reachable here, on port `prefer` if that is free.

        The host may be rebooted meanwhile: each connection goes to its current instance.
        """
        listener, note = _listen(prefer)

        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(_pass_on(reader, writer, lambda: host.running_pid, address, port))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

        starting = asyncio.start_server(serve, sock=listener)
        self._servers.append(asyncio.run_coroutine_threadsafe(starting, self._loop).result(CONNECT_SECONDS))
        return Page(listener.getsockname()[1], note)

    def close(self) -> None:
        """Stop listening and close open connections."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(CONNECT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONNECT_SECONDS)
        self._loop.close()

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _listen(prefer: int) -> tuple[socket.socket, str | None]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    note = None
    try:
        listener.bind((_LOOPBACK, prefer))
    except OSError as fault:
        if fault.errno != errno.EADDRINUSE:
            listener.close()
            raise
        listener.bind((_LOOPBACK, 0))
        note = f"port {prefer} is in use: {listener.getsockname()[1]} is used instead"
    return listener, note


async def _pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pid: Callable[[], int],
    address: str,
    port: int,
) -> None:
    """Connect inside and copy in both directions until both sides have finished; on a fault just close."""
    far_writer = None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            far = socket_in(pid())
            far.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(far, (address, port))
            except BaseException:
                far.close()
                raise
            far_reader, far_writer = await asyncio.open_connection(sock=far)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    except (OSError, LabError, TimeoutError):
        pass
    finally:
        for end in (writer, far_writer):
            if end is not None:
                end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            some = await reader.read(65536)
            if not some:
                break
            writer.write(some)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
        await writer.drain()

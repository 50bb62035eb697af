"""Serve HTTP on one address of the actuator, with its own event loop and threads.

h11 reads and writes HTTP/1.1; this module adds deadlines and limits. A request has one deadline from its first byte
to its last, so a client that sends one byte per second is disconnected like a client that sends none.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import h11

from locum_actuator.domain.numbers import MAX_DIGITS
from locum_actuator.web.connections import Connection, Connections
from locum_actuator.web.framing import Framing, RequestRefusedError
from locum_actuator.web.lanes import Lane
from locum_actuator.web.peer import Peer, peer_of
from locum_actuator.web.wsgi import Answer, Application, Request, answer_to
from locum_inventory.token_bucket import ClientRates, TokenBucket

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
READ_SECONDS = 10.0  # for a whole request, from its first byte
KEEP_SECONDS = 120.0  # between two requests of a connection
WRITE_SECONDS = 10.0
HEAD_BYTES = 16 * 1024
STRANGERS_BODY_BYTES = 64 * 1024
# A flood of new connections waits in the kernel and takes no processor time from the workers. Only a few of one
# client are accepted; the others are closed at once, so that the next client does not wait behind them.
ACCEPTS_PER_SECOND, ACCEPTS_AT_ONCE = 2000.0, 200.0
BURST, PER_SECOND = 64.0, 32.0  # new connections of one client
BACKLOG = 1024
DEAF_SECONDS = (
    60.0  # if no connection could be accepted for so long, the process restarts, which frees its descriptors
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a listener. `knows` returns whether an Authorization header has a valid token."""

    connections: int
    body_bytes: int
    knows: Callable[[str], bool] = field(default=lambda _: False)


class Listener:
    """A listening socket and its application. `ours` and `strangers` are the threads that handle requests.

    Requests of root, of our own user, and those with a valid token go to `ours`.
    """

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        application: Application,
        bounds: Bounds,
        *,
        ours: Lane,
        strangers: Lane,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._sock = sock
        self._application = application
        self._bounds = bounds
        self._ours, self._strangers = ours, strangers
        self._tls = tls
        self._scheme = "http" if tls is None else "https"
        where = sock.getsockname()
        self.address: tuple[str, int] = (where[0], where[1]) if isinstance(where, tuple) else ("localhost", 0)
        self._connections = Connections(bounds.connections)
        self._rates = ClientRates(BURST, PER_SECOND)
        self._loop = asyncio.new_event_loop()
        self._accepting: asyncio.Task[None] | None = None
        self._beginning, self._is_begun = threading.Lock(), False

    def run(self) -> None:
        """Serve on this thread until `close` is called."""
        with self._beginning:
            if self._loop.is_closed():
                return
            self._is_begun = True
        asyncio.set_event_loop(self._loop)
        try:
            self._sock.setblocking(False)
            self._sock.listen(BACKLOG)
            self._accepting = self._loop.create_task(self._accept())
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._accepting)
            self._loop.run_until_complete(self._end_all())
        finally:
            self._sock.close()
            self._loop.close()

    def close(self) -> None:
        """Make `run` return. Any thread may call it."""

        def cancel() -> None:
            if self._accepting is not None:
                self._accepting.cancel()

        with self._beginning:
            if not self._is_begun:
                self._sock.close()
                self._loop.close()
                return
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(cancel)

    async def _end_all(self) -> None:
        await asyncio.gather(*self._connections.end_all(), return_exceptions=True)

    async def _accept(self) -> None:
        tokens = TokenBucket(ACCEPTS_AT_ONCE, ACCEPTS_PER_SECOND)
        failing_since: float | None = None
        while True:
            try:
                sock, _ = await self._loop.sock_accept(self._sock)
            except OSError as fault:  # no descriptors left, or the client has disconnected
                log.debug("%s: %s", self.name, fault, extra={"event": "not_accepted"})
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since > DEAF_SECONDS:
                    raise
                await asyncio.sleep(0.05)
                continue
            now, failing_since = time.monotonic(), None
            left = tokens.take(now)
            peer = peer_of(sock)
            if peer.is_ours or self._rates.allows(peer.name, now):
                connection = Connection(peer)
                self._connections.add(connection)
                connection.task = self._loop.create_task(self._talk(sock, connection))
                # Also for a task that is cancelled before it starts.
                connection.task.add_done_callback(partial(_close, sock))
            else:
                sock.close()
            if left < 0:
                await asyncio.sleep(-left / ACCEPTS_PER_SECOND)

    async def _talk(self, sock: socket.socket, connection: Connection) -> None:
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport: asyncio.Transport | None = None
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            handshake = {} if self._tls is None else {"ssl_handshake_timeout": HANDSHAKE_SECONDS}
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=self._tls, **handshake
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
            wait_seconds = READ_SECONDS
            while await self._one(http, reader, writer, connection, wait_seconds):
                wait_seconds = KEEP_SECONDS
            writer.close()
            async with asyncio.timeout(WRITE_SECONDS):
                await writer.wait_closed()
        except (OSError, TimeoutError, h11.LocalProtocolError) as fault:
            log.debug("%s: %s: %s", self.name, connection.peer.name, fault, extra={"event": "cut_off"})
        except Exception:
            log.exception("internal error on a connection", extra={"event": "request_failed"})
        finally:
            self._connections.remove(connection)
            if transport is None:
                sock.close()
            else:
                transport.abort()

    async def _one(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        connection: Connection, wait_seconds: float,
    ) -> bool:  # fmt: skip
        """Read a request and answer it; return whether the connection stays open."""
        connection.is_busy, connection.waits_since = False, time.monotonic()
        request = None
        try:
            request = await self._read(http, reader, writer, connection, wait_seconds)
            if request is None:
                return False
            connection.is_busy = True
            answer = await self._handled(request, connection)
        except RequestRefusedError as refused:
            answer = _refusal(refused.status, str(refused), closing=True)
        except h11.RemoteProtocolError as fault:
            answer = _refusal(fault.error_status_hint, str(fault), closing=True)
        if http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return False
        method = "GET" if request is None else request.method
        async with asyncio.timeout(WRITE_SECONDS):
            await _send(http, writer, answer, is_bare=method == "HEAD" or answer.status in {204, 304})
        if {http.our_state, http.their_state} != {h11.DONE}:
            return False
        http.start_next_cycle()
        return True

    async def _read(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        connection: Connection, wait_seconds: float,
    ) -> Request | None:  # fmt: skip
        """Read one request; None if the client disconnected. Raises `TimeoutError` and `RequestRefusedError`."""
        head: h11.Request | None = None
        body, limit = bytearray(), 0
        is_begun = bool(http.trailing_data[0])
        framing = Framing()
        async with asyncio.timeout(READ_SECONDS if is_begun else wait_seconds) as deadline:
            while True:
                framing.check(http.trailing_data[0])
                event = http.next_event()
                framing.note(event)
                if event is h11.NEED_DATA:
                    if http.they_are_waiting_for_100_continue:
                        writer.write(http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                    data = await reader.read(HEAD_BYTES)
                    if data and not is_begun:
                        is_begun = True
                        deadline.reschedule(self._loop.time() + READ_SECONDS)
                    http.receive_data(data)
                elif isinstance(event, h11.Request):
                    head, limit = event, self._judge(event, connection)
                elif isinstance(event, h11.Data):
                    body += event.data
                    if len(body) > limit:
                        raise RequestRefusedError(413, f"the body is larger than {limit} bytes")
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    return None
        if head is None:
            return None
        return Request(
            head.method.decode("ascii"),
            head.target,
            head.http_version.decode("ascii"),
            tuple(head.headers),
            bytes(body),
        )

    def _judge(self, head: h11.Request, connection: Connection) -> int:
        """Return the maximum length of the body; raises `RequestRefusedError`."""
        headers = dict(head.headers)
        if b"transfer-encoding" in headers and b"content-length" in headers:
            raise RequestRefusedError(400, "Content-Length and Transfer-Encoding cannot be combined")
        connection.is_known = self._bounds.knows(headers.get(b"authorization", b"").decode("latin-1"))
        limit = self._bounds.body_bytes
        if not connection.is_known and not connection.peer.is_ours:
            limit = min(limit, STRANGERS_BODY_BYTES)
        length = headers.get(b"content-length", b"0")
        if len(length) > MAX_DIGITS or int(length) > limit:
            raise RequestRefusedError(413, f"the body is larger than {limit} bytes")
        return limit

    async def _handled(self, request: Request, connection: Connection) -> Answer:
        done: asyncio.Future[Answer] = self._loop.create_future()

        def work() -> None:
            try:
                answer = answer_to(self._application, request, self.address, self._scheme)
            except Exception:
                log.exception("a request could not be handled", extra={"event": "request_failed"})
                answer = _refusal(500, "internal error; the actuator's log has the details")
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_finish, done, answer)

        peer: Peer = connection.peer
        lane = self._ours if connection.is_known or peer.is_ours else self._strangers
        if not lane.put(peer.name, work):
            return _refusal(503, "too many of your requests are waiting")
        return await done


def _finish(done: asyncio.Future[Answer], answer: Answer) -> None:
    if not done.done():  # the client may have been disconnected meanwhile
        done.set_result(answer)


def _close(sock: socket.socket, _done: asyncio.Task[None]) -> None:
    sock.close()


async def _send(http: h11.Connection, writer: asyncio.StreamWriter, answer: Answer, *, is_bare: bool) -> None:
    skipped = (
        {b"connection", b"transfer-encoding", b"content-length"} if not is_bare else {b"transfer-encoding"}
    )
    headers = [(name, value) for name, value in answer.headers if name.lower() not in skipped]
    if not is_bare:
        headers.append((b"Content-Length", str(len(answer.body)).encode()))
    headers += [
        (name, value) for name, value in answer.headers if name.lower() == b"connection" and not is_bare
    ]
    sent = http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
    if answer.body and not is_bare:
        sent += http.send(h11.Data(data=answer.body)) or b""
    writer.write(sent + (http.send(h11.EndOfMessage()) or b""))
    await writer.drain()


def _refusal(status: int, why: str, *, closing: bool = False) -> Answer:
    headers = [(b"Content-Type", b"application/json")]
    if closing:
        headers.append((b"Connection", b"close"))
    return Answer(status, tuple(headers), json.dumps({"error": why}).encode() + b"\n")

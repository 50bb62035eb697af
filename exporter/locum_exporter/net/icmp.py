"""Ping many targets at once over one ICMP socket per IP version.

icmplib's own `ping` opens a socket per ping and matches replies by id and sequence alone; with many targets it
reports live hosts as dead, and with two processes of the same id a dead host as alive. Here a reply must come
from the pinged address and carry the id, the sequence and the random token that were sent.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from locum_exporter.net.icmp_messages import Family, Message
from locum_exporter.net.icmp_socket import EchoSocket
from locum_exporter.net.os_errors import reason_of_unsent, text_of_os_error
from locum_exporter.result import Reason
from locum_inventory.site.model import Address

_DRAIN_EVERY = 64  # sends between two reads of the socket while the loop is too busy to read it
_FULL_BUFFER_PAUSE_SECONDS = 0.001
_PADDING = bytes(40)  # with the 16 bytes of the token: 56, as ping(8) sends


@dataclass(frozen=True, slots=True)
class Echo:
    """The result of one echo request: `rtt_seconds`, or the reason why there is none."""

    rtt_seconds: float | None
    reason: Reason | None = None
    text: str = ""
    was_sent: bool = True  # False: it did not leave this host, so it is no evidence about the target


@dataclass(frozen=True, slots=True)
class Burst:
    """The result of several echo requests to one target. Those that did not leave this host are not `sent`."""

    sent: int
    received: int
    rtts_seconds: tuple[float, ...]
    unsent: int = 0
    reason: Reason | None = None  # of the last failed request
    text: str = ""


@dataclass(slots=True)
class _Waiting:
    token: bytes
    sent_at: float
    answer: asyncio.Future[Echo]


class Pinger:
    """Sends echo requests from one event loop; `async with Pinger() as pinger`.

    Sockets are opened on first use, so that a host without IPv6 can ping IPv4. `source` is the address to ping
    from, of the same IP version as the targets.
    """

    def __init__(self, *, source: Address | None = None) -> None:
        self._source = source
        self._sockets: dict[Family, EchoSocket] = {}
        self._waiting: dict[tuple[bytes, int], _Waiting] = {}
        self._secret = secrets.token_bytes(8)
        self._numbers = itertools.count(secrets.randbelow(0x10000))
        self._sends_since_drain = 0
        self._heard_at: dict[bytes, float] = {}  # packed address -> time of the last reply from it

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets. Pings under way end at their deadlines."""
        for echo_socket in self._sockets.values():
            asyncio.get_running_loop().remove_reader(echo_socket)
            echo_socket.close()
        self._sockets.clear()

    def heard_since(self, address: Address, moment: float) -> bool:
        """Return whether a reply came from an address since `moment`, even after its ping's deadline.

        `moment` is the event loop's time. A host that returns this pinger's secret is alive.
        """
        return self._heard_at.get(address.packed, float("-inf")) >= moment

    async def ping(self, address: Address, deadline_seconds: float) -> Echo:
        """Send one echo request and wait for its reply, no longer than `deadline_seconds`."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + deadline_seconds
        number = next(self._numbers)
        sequence, token = number & 0xFFFF, self._secret + (number & (2**64 - 1)).to_bytes(8)
        waiting = _Waiting(token, loop.time(), loop.create_future())
        key = (address.packed, sequence)
        self._waiting[key] = waiting
        timer = loop.call_at(ends_at, _give_up, waiting.answer, deadline_seconds)
        try:
            fault = await self._send(address, sequence, waiting, ends_at)
            return fault or await waiting.answer
        finally:
            timer.cancel()
            if self._waiting.get(key) is waiting:
                del self._waiting[key]

    async def burst(
        self,
        address: Address,
        *,
        count: int,
        spacing_seconds: float,
        wait_seconds: float,
        enough: int | None = None,
        hurry: asyncio.Event | None = None,
    ) -> Burst:
        """Send up to `count` echo requests, one every `spacing_seconds`, and wait `wait_seconds` after the last.

        With `enough`, stop early once the first `enough` or more were answered with none missing among them; with
        `hurry`, not before that event is set: as long as there is time, more echoes give more evidence.
        """
        loop = asyncio.get_running_loop()
        pings: list[asyncio.Task[Echo]] = []
        try:
            for left in reversed(range(count)):
                # Timed from the ping's own start: a delay on this host must not make a live host appear dead.
                deadline_seconds = left * spacing_seconds + wait_seconds
                pings.append(asyncio.create_task(self.ping(address, deadline_seconds)))
                pause_seconds = spacing_seconds if left else wait_seconds
                wanted = count if hurry is not None and not hurry.is_set() else enough
                if await _none_missing(pings, wanted, loop.time() + pause_seconds):
                    over = [ping for ping in pings if ping.done()]
                    return _count(over, sent=len(over))  # requests that are still under way are not lost
            await asyncio.wait(pings)  # each ends at its own deadline
            return _count(pings, sent=len(pings))
        finally:
            for ping in pings:
                ping.cancel()
            await asyncio.gather(*pings, return_exceptions=True)

    async def _send(self, address: Address, sequence: int, waiting: _Waiting, ends_at: float) -> Echo | None:
        """Send a request; return None if it was sent (or its time is up), else the failure."""
        loop = asyncio.get_running_loop()
        while not waiting.answer.done():
            try:
                echo_socket = self._socket_for(address)
                waiting.sent_at = loop.time()
                echo_socket.send(address, sequence, waiting.token + _PADDING)
            except BlockingIOError:
                await asyncio.sleep(min(_FULL_BUFFER_PAUSE_SECONDS, max(0.0, ends_at - loop.time())))
                continue
            except OSError as error:
                return Echo(None, reason_of_unsent(error), text_of_os_error(error), was_sent=False)
            self._sends_since_drain += 1
            if self._sends_since_drain >= _DRAIN_EVERY:
                self._drain(echo_socket)
            return None
        return None

    def _socket_for(self, address: Address) -> EchoSocket:
        family: Family = 4 if address.version == 4 else 6
        echo_socket = self._sockets.get(family)
        if echo_socket is None:
            echo_socket = EchoSocket(family, self._source)
            self._sockets[family] = echo_socket
            asyncio.get_running_loop().add_reader(echo_socket, self._drain, echo_socket)
        return echo_socket

    def _drain(self, echo_socket: EchoSocket) -> None:
        """Match all received messages with the pings that wait for them."""
        self._sends_since_drain = 0
        now = asyncio.get_running_loop().time()
        for sender, message in echo_socket.receive():
            if message.error is None and message.payload.startswith(self._secret):
                self._heard_at[sender] = now
            asked = sender if message.target is None else message.target
            waiting = self._waiting.get((asked, message.sequence))
            # An error message may quote only eight bytes of the request: then there is no token to compare.
            if waiting is None or waiting.answer.done() or not _carries(message, waiting.token):
                continue
            waiting.answer.set_result(_echo(message, now - waiting.sent_at))


def _carries(message: Message, token: bytes) -> bool:
    if message.error is None:
        return message.payload.startswith(token)
    return token.startswith(message.payload[: len(token)])


def _echo(message: Message, rtt_seconds: float) -> Echo:
    if message.error is None:
        return Echo(rtt_seconds)
    if message.error == "prohibited":
        return Echo(None, "refused", "a router or firewall on the path prohibits it")
    return Echo(None, "unreachable", f"a router on the path reports: {message.error}")


def _give_up(answer: asyncio.Future[Echo], deadline_seconds: float) -> None:
    if not answer.done():
        answer.set_result(Echo(None, "timeout", f"no reply within {deadline_seconds * 1000:.0f} ms"))


async def _none_missing(pings: list[asyncio.Task[Echo]], enough: int | None, until: float) -> bool:
    """Wait until `until`, or until at least the first `enough` pings were answered with none missing."""
    loop = asyncio.get_running_loop()
    while True:
        if enough is not None and _answered_from_first(pings) >= enough:
            return True
        left = until - loop.time()
        pending = [ping for ping in pings if not ping.done()]
        if left <= 0:
            return False
        if not pending:
            await asyncio.sleep(left)
            return False
        await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)


def _answered_from_first(pings: list[asyncio.Task[Echo]]) -> int:
    """Count the answered pings, or 0 if an earlier one is missing while a later one was answered."""
    answered = [ping.done() and ping.result().rtt_seconds is not None for ping in pings]
    count = sum(answered)
    return count if all(answered[:count]) else 0


def _count(pings: list[asyncio.Task[Echo]], *, sent: int) -> Burst:
    """Count the results of the finished pings of a burst."""
    echoes = [ping.result() for ping in pings]
    rtts = tuple(echo.rtt_seconds for echo in echoes if echo.rtt_seconds is not None)
    unsent = sum(not echo.was_sent for echo in echoes)
    last = next((echo for echo in reversed(echoes) if echo.rtt_seconds is None), Echo(None))
    return Burst(sent - unsent, len(rtts), rtts, unsent, last.reason, last.text)

"""Who on an interface's network has an address: asked by ARP and neighbour solicitation.

What this host itself holds is not heard here (`local_addresses.py` tells that).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self

from locum_exporter.net.arp_nd_frames import (
    arp_probe,
    arp_request,
    link_local_of,
    neighbour_solicitation,
)
from locum_exporter.net.local_addresses import LocalHost, local_host
from locum_exporter.net.os_errors import reason_of_unsent, text_of_os_error
from locum_exporter.net.packet_socket import PacketSocket
from locum_exporter.result import Reason
from locum_inventory.errors import LocumError
from locum_inventory.site.model import Address

_MORE_ATTEMPTS = 5  # where nothing was heard at all


class NeighbourError(LocumError):
    """It was not possible to ask on an interface: this says nothing about who has an address."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


class Neighbours:
    """Asks who has an address, from one event loop; `async with Neighbours() as neighbours`.

    Sockets are kept open between two questions: to close a packet socket takes the kernel some 16 ms.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[PacketSocket]] = defaultdict(list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets."""
        for idle in self._idle.values():
            for packet_socket in idle:
                packet_socket.close()
        self._idle.clear()

    async def who_has(
        self,
        interface: str,
        addresses: Iterable[Address],
        *,
        attempts: int = 3,
        spacing_seconds: float = 0.05,
        deadline_seconds: float | None = None,
        until_answered: bool = False,
        this_host: LocalHost | None = None,
        must_answer: Iterable[Address] = (),
    ) -> dict[Address, set[str]]:
        """Return, for every address asked, the MAC addresses that answered for it; empty if none did.

        `must_answer` are neighbours that are sure to be there, such as a gateway. They are asked too, and where
        neither one of them nor any of the others answers, it may be this host that hears nothing: that is a fault.

        All attempts are made and listened to in full, so that a second holder is heard too, unless
        `until_answered`: then one answer for each address is enough. `this_host` saves asking the kernel again.
        Raises NeighbourError if it was not possible to look, or not within the deadline: a look that was cut
        short has not found that nobody is there.
        """
        wanted, proofs = tuple(addresses), frozenset(must_answer)
        answers: dict[Address, set[str]] = {address: set() for address in (*wanted, *sorted(proofs, key=str))}
        try:
            async with asyncio.timeout(deadline_seconds):
                if this_host is None and (proofs or any(address.version == 6 for address in answers)):
                    this_host = await local_host()
                await self._ask(
                    interface,
                    answers,
                    this_host,
                    attempts=attempts,
                    spacing_seconds=spacing_seconds,
                    until_answered=until_answered,
                    proofs=proofs,
                )
        except TimeoutError:
            text = f"could not ask {attempts} times on interface {interface} within {deadline_seconds} s"
            raise NeighbourError("busy", text) from None
        except OSError as error:
            text = f"cannot ask on interface {interface}: {text_of_os_error(error)}"
            raise NeighbourError(reason_of_unsent(error), text) from error
        if _is_deaf(answers, proofs):
            silent = ", ".join(sorted(map(str, proofs)))
            text = (
                f"no answer at all on {interface}, not even of {silent}: it may be this host that hears none"
            )
            raise NeighbourError("interface", text)
        return {address: answers[address] for address in wanted}

    async def _ask(
        self,
        interface: str,
        answers: dict[Address, set[str]],
        this_host: LocalHost | None,
        *,
        attempts: int,
        spacing_seconds: float,
        until_answered: bool,
        proofs: frozenset[Address],
    ) -> None:
        """Send every question `attempts` times and gather the answers.

        Some times more where nothing was heard at all: behind 30 % loss each way a neighbour leaves three questions
        unanswered once in 8 times (0.51^3), and eight once in 200.
        """
        all_answered = asyncio.Event()
        with ExitStack() as stack:
            questions: list[tuple[PacketSocket, Address]] = []
            for version in sorted({address.version for address in answers}):
                hearing = self._hearing(interface, version, answers, all_answered)
                packet_socket = stack.enter_context(hearing)
                asked = [address for address in answers if address.version == version]
                questions += [(packet_socket, one) for one in asked]
            for number in range(attempts + _MORE_ATTEMPTS):
                if number >= attempts and not _is_deaf(answers, proofs):
                    return
                for packet_socket in {packet_socket for packet_socket, _ in questions}:
                    packet_socket.read_mac()
                for packet_socket, one in questions:
                    packet_socket.send(_question(packet_socket, one, this_host, ordinary=one in proofs))
                # Counted from here, however long it took to get here: a busy moment must not shorten listening.
                await _pause(spacing_seconds, all_answered if until_answered else None)
                if until_answered and all_answered.is_set():
                    return

    @contextmanager
    def _hearing(
        self, interface: str, version: int, answers: dict[Address, set[str]], all_answered: asyncio.Event
    ) -> Iterator[PacketSocket]:
        """Lend a socket that nobody else uses meanwhile, and put what it hears into `answers`."""
        idle = self._idle[interface, version]
        packet_socket = _usable(idle) or PacketSocket(interface, version)
        loop = asyncio.get_running_loop()

        def hear() -> None:
            for claim in packet_socket.receive():
                if claim.address in answers:
                    answers[claim.address].add(claim.mac)
            if all(answers.values()):
                all_answered.set()

        try:
            loop.add_reader(packet_socket, hear)
            try:
                yield packet_socket
            finally:
                loop.remove_reader(packet_socket)
        except OSError:
            packet_socket.close()  # the interface went down or away: a new socket next time
            raise
        except BaseException:
            idle.append(packet_socket)
            raise
        idle.append(packet_socket)


def _usable(idle: list[PacketSocket]) -> PacketSocket | None:
    """Take a kept socket that still belongs to its interface; those of one that is gone are closed."""
    while idle:
        packet_socket = idle.pop()
        try:
            packet_socket.read_mac()
            for _ in packet_socket.receive():
                pass  # what came between two questions is not an answer to this one
        except OSError:
            packet_socket.close()  # the interface went away, or down since: a new socket says what is the matter
            continue
        return packet_socket
    return None


def _is_deaf(answers: Mapping[Address, set[str]], proofs: frozenset[Address]) -> bool:
    """Return whether nothing was heard though something must answer, of either IP version: they share a card."""
    return bool(proofs) and not any(answers.values())


def _question(
    packet_socket: PacketSocket, address: Address, this_host: LocalHost | None, *, ordinary: bool
) -> bytes:
    """Build the question; of an address that may be claimed right now it must look like no claim.

    `ordinary` is for one that is nobody's but its owner's: some answer only to those who name themselves.
    """
    if isinstance(address, IPv4Address):
        source4 = this_host.ipv4(packet_socket.interface) if ordinary and this_host is not None else None
        if source4 is not None:
            return arp_request(packet_socket.mac, source4, address)
        return arp_probe(packet_socket.mac, address)
    source = this_host.link_local(packet_socket.interface) if this_host is not None else None
    return neighbour_solicitation(packet_socket.mac, source or link_local_of(packet_socket.mac), address)


async def _pause(seconds: float, until: asyncio.Event | None) -> None:
    if until is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        return

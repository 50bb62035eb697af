"""Find the hosts on an interface's network that have an address, by ARP and neighbour solicitation.

This host's own addresses do not answer here (see `local_addresses.py`).
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

_MORE_ATTEMPTS = 5  # if nothing answered at all


class NeighbourError(LocumError):
    """The request could not be sent on an interface: no evidence about an address."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


class Neighbours:
    """Finds the owners of addresses, from one event loop; `async with Neighbours() as neighbours`.

    Sockets stay open between requests, because closing a packet socket takes the kernel about 16 ms.
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
        """Return the MAC addresses that answered for each address; an empty set if none did.

        `must_answer` are neighbours that are certain to exist, such as a gateway. They are asked too, and if
        neither they nor any of the others answer, this host may not be receiving anything: that is an error.

        All attempts are made and waited for in full, so that a second holder is detected too, unless
        `until_answered`: then one answer per address is enough. `this_host` saves another query of the kernel.
        Raises NeighbourError if the check could not be made within the deadline: an incomplete check does not prove
        that no host has the address.
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
            text = f"could not send {attempts} requests on interface {interface} within {deadline_seconds} s"
            raise NeighbourError("busy", text) from None
        except OSError as error:
            text = f"cannot send on interface {interface}: {text_of_os_error(error)}"
            raise NeighbourError(reason_of_unsent(error), text) from error
        if _is_deaf(answers, proofs):
            silent = ", ".join(sorted(map(str, proofs)))
            text = (
                f"no answer at all on {interface}, not even from {silent}: this host may not be receiving any"
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
        """Send each request `attempts` times and collect the answers.

        If nothing answers at all, send it a few more times: with 30 % loss in each direction three requests to a
        neighbour stay unanswered once in 8 times (0.51^3), eight requests once in 200.
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
                # Counted from here, whatever the delay before: a busy host must not shorten the wait.
                await _pause(spacing_seconds, all_answered if until_answered else None)
                if until_answered and all_answered.is_set():
                    return

    @contextmanager
    def _hearing(
        self, interface: str, version: int, answers: dict[Address, set[str]], all_answered: asyncio.Event
    ) -> Iterator[PacketSocket]:
        """Lend a socket for exclusive use, and add the answers that it receives to `answers`."""
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
            packet_socket.close()  # the interface is down or gone: use a new socket next time
            raise
        except BaseException:
            idle.append(packet_socket)
            raise
        idle.append(packet_socket)


def _usable(idle: list[PacketSocket]) -> PacketSocket | None:
    """Take an open socket that still belongs to its interface; close those of an interface that is gone."""
    while idle:
        packet_socket = idle.pop()
        try:
            packet_socket.read_mac()
            for _ in packet_socket.receive():
                pass  # messages from before this request are not answers to it
        except OSError:
            packet_socket.close()  # the interface is gone or down: a new socket raises the exact error
            continue
        return packet_socket
    return None


def _is_deaf(answers: Mapping[Address, set[str]], proofs: frozenset[Address]) -> bool:
    """Return whether nothing answered although something must, over both IP versions, which share a card."""
    return bool(proofs) and not any(answers.values())


def _question(
    packet_socket: PacketSocket, address: Address, this_host: LocalHost | None, *, ordinary: bool
) -> bytes:
    """Build the request; for an address that is possibly being claimed it must not appear to be a claim.

    `ordinary` is for an address that does not move: some devices answer only requests with a sender address.
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

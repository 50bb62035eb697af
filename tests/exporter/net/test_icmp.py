"""Pings on real sockets: what answers, what must not be taken for an answer, and a thousand at once."""

import asyncio
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from locum_exporter.checks.ping import ping
from locum_exporter.net.icmp import Burst, Echo, Pinger
from locum_exporter.result import Outcome
from tests.support.marks import needs_root
from tests.support.namespaces import namespace, run_in

pytestmark = [pytest.mark.timed, needs_root, pytest.mark.integration]

ASKED, STRANGER = "127.0.0.50", "127.0.0.51"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.77", "::1"])
async def test_a_host_answers(address: str) -> None:
    async with Pinger() as pinger:
        echo = await pinger.ping(ip_address(address), 1.0)
    assert echo.reason is None
    assert echo.rtt_seconds is not None
    assert 0 < echo.rtt_seconds < 1


async def test_a_thousand_targets_at_once_all_answer() -> None:
    targets = [ip_address(f"127.1.{number // 250}.{number % 250 + 1}") for number in range(1000)]
    async with Pinger() as pinger:
        started_at = time.perf_counter()
        echoes = await asyncio.gather(*(pinger.ping(target, 2.0) for target in targets))
        seconds = time.perf_counter() - started_at
    assert sum(echo.rtt_seconds is not None for echo in echoes) == 1000
    assert seconds < 1.5


async def test_no_ping_is_left_waiting() -> None:
    async with Pinger() as pinger:
        await pinger.ping(ip_address("127.0.0.1"), 1.0)
        await pinger.burst(ip_address("127.0.0.1"), count=5, spacing_seconds=0.01, wait_seconds=0.1)
        assert pinger._waiting == {}


@pytest.mark.parametrize("source", ["127.0.0.9", "::1"])
async def test_a_ping_leaves_from_the_source_it_was_given(source: str) -> None:
    target = ip_address("127.0.0.8" if "." in source else "::1")
    async with Pinger(source=ip_address(source)) as pinger:
        echo = await pinger.ping(target, 1.0)
    assert echo.rtt_seconds is not None


async def test_a_source_that_this_host_does_not_have_is_no_answer_of_the_target() -> None:
    async with Pinger(source=ip_address("192.0.2.250")) as pinger:
        echo = await pinger.ping(ip_address("127.0.0.1"), 1.0)
    assert echo == Echo(None, "interface", "cannot assign requested address", was_sent=False)


def test_a_target_without_a_route_was_not_looked_at() -> None:
    async def work() -> list[Echo]:
        async with Pinger() as pinger:
            return [await pinger.ping(ip_address(text), 1.0) for text in ("192.0.2.1", "2001:db8::1")]

    with namespace("noroute") as name:
        echoes = run_in(name, work)
    no_way = Echo(None, "interface", "network is unreachable", was_sent=False)
    assert echoes == [no_way, no_way]


async def test_the_check_says_what_it_found() -> None:
    async with Pinger() as pinger:
        result = await ping(pinger, ip_address("127.0.0.1"), 1.0)
    assert result.outcome is Outcome.WELL
    assert result.details.keys() == {"rtt_seconds"}
    assert result.text.startswith("ping 127.0.0.1: answered in ")


# What another program sends, by how it differs from the right answer.
Forger = Callable[[bytes], list[tuple[str, bytes]]]


def reply(
    request: bytes, *, identifier: int = 0, sequence: int = 0, token: bytes = b"", kind: int = 0
) -> bytes:
    old_identifier, old_sequence = struct.unpack_from("!HH", request, 4)
    payload = token + request[8 + len(token) :]
    head = ((old_identifier + identifier) & 0xFFFF, (old_sequence + sequence) & 0xFFFF)
    message = struct.pack("!BBHHH", kind, 0, 0, *head) + payload
    return struct.pack("!BBHHH", kind, 0, checksum(message), *head) + payload


def error(
    request: bytes, *, kind: int = 3, code: int = 1, about: str = ASKED, quoted_bytes: int = 8
) -> bytes:
    quoted = struct.pack("!BBHHHBBH", 0x45, 0, 84, 0, 0, 64, 1, 0)
    quoted += socket.inet_aton("127.0.0.1") + socket.inet_aton(about) + request[:quoted_bytes]
    message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return struct.pack("!BBHI", kind, code, checksum(message), 0) + quoted


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


FORGERIES: dict[str, tuple[Forger, str | None]] = {
    "the right answer": (lambda request: [(ASKED, reply(request))], None),
    "the right answer, four times": (lambda request: [(ASKED, reply(request))] * 4, None),
    "a wrong answer before the right one": (
        lambda request: [(STRANGER, reply(request)), (ASKED, reply(request))],
        None,
    ),
    "a stranger with the same id, sequence and token": (
        lambda request: [(STRANGER, reply(request))],
        "timeout",
    ),
    "another id": (lambda request: [(ASKED, reply(request, identifier=1))], "timeout"),
    "another sequence": (lambda request: [(ASKED, reply(request, sequence=1))], "timeout"),
    "another program's token": (lambda request: [(ASKED, reply(request, token=bytes(16)))], "timeout"),
    "an echo request instead of a reply": (lambda request: [(ASKED, reply(request, kind=8))], "timeout"),
    "a reply cut short": (lambda request: [(ASKED, reply(request)[:8])], "timeout"),
    "a router: host unreachable": (lambda request: [(STRANGER, error(request))], "unreachable"),
    "a router: prohibited": (lambda request: [(STRANGER, error(request, code=13))], "refused"),
    "a router: time exceeded": (lambda request: [(STRANGER, error(request, kind=11))], "unreachable"),
    "a router, about another host": (lambda request: [(STRANGER, error(request, about=STRANGER))], "timeout"),
    "a router, about another program's ping": (
        lambda request: [(STRANGER, error(reply(request, token=bytes(16), kind=8), quoted_bytes=64))],
        "timeout",
    ),
    "a router, cut short": (lambda request: [(STRANGER, error(request, quoted_bytes=4))], "timeout"),
}


@pytest.fixture(scope="module")
def silent_namespace() -> object:
    """A namespace whose kernel answers no echo request, so that a test can answer in its place."""
    with namespace("silent") as name:
        ignore = ["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"]
        subprocess.run(ignore, check=True, timeout=10)
        yield name


def answering(forge: Forger, work: Callable[[Pinger], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    """Run `work` while every echo request to ASKED is answered as `forge` says."""

    async def main() -> object:
        loop = asyncio.get_running_loop()
        heard = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        heard.setblocking(False)
        senders = {name: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) for name in (ASKED, STRANGER)}
        for name, sender in senders.items():
            sender.bind((name, 0))

        def hear() -> None:
            packet = heard.recv(2048)
            if packet[20] == 8 and packet[16:20] == socket.inet_aton(ASKED):
                for source, message in forge(packet[20:]):
                    senders[source].sendto(message, ("127.0.0.1", 0))

        loop.add_reader(heard, hear)
        try:
            async with Pinger(source=ip_address("127.0.0.1")) as pinger:
                return await work(pinger)
        finally:
            loop.remove_reader(heard)
            for one in (heard, *senders.values()):
                one.close()

    return main


@pytest.mark.parametrize("row", FORGERIES)
def test_only_the_right_answer_counts(silent_namespace: str, row: str) -> None:
    forge, reason = FORGERIES[row]
    echo = run_in(silent_namespace, answering(forge, lambda pinger: pinger.ping(ip_address(ASKED), 0.1)))
    assert isinstance(echo, Echo)
    assert echo.reason == reason
    assert (echo.rtt_seconds is None) == (reason is not None)


LATE: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "nothing came": (lambda request: b"", False),
    "its own echo, too late": (reply, True),
    "another program's": (lambda request: reply(request, token=bytes(16)), False),
    "an echo request": (lambda request: reply(request, kind=8), False),
}


@pytest.mark.parametrize("row", LATE)
def test_an_echo_that_comes_too_late_is_heard_all_the_same(silent_namespace: str, row: str) -> None:
    forge, heard = LATE[row]
    asked: list[bytes] = []

    def when_asked_again(request: bytes) -> list[tuple[str, bytes]]:
        asked.append(request)
        late = forge(asked[0]) if len(asked) == 2 else b""
        return [(ASKED, late)] if late else []

    async def work(pinger: Pinger) -> tuple[Echo, Echo, bool, bool]:
        begun = asyncio.get_running_loop().time()
        address = ip_address(ASKED)
        first, second = await pinger.ping(address, 0.05), await pinger.ping(address, 0.1)
        stranger = pinger.heard_since(ip_address(STRANGER), begun)
        return first, second, pinger.heard_since(address, begun), stranger

    results = run_in(silent_namespace, answering(when_asked_again, work))
    assert isinstance(results, tuple)
    first, second, was_heard, stranger = results
    assert (first.reason, second.reason) == ("timeout", "timeout")
    assert (was_heard, stranger) == (heard, False)


def losing(*lost: int) -> Forger:
    """Answer every request but those whose turn is in `lost`."""
    turns = iter(range(1000))
    return lambda request: [] if next(turns) in lost else [(ASKED, reply(request))]


BURSTS: dict[str, tuple[Forger, int | None, Callable[[Burst], bool]]] = {
    "all answered, all wanted": (losing(), None, lambda burst: (burst.sent, burst.received) == (10, 10)),
    "all answered, three are enough": (losing(), 3, lambda burst: (burst.sent, burst.received) == (3, 3)),
    "the first lost, so that three are not enough": (
        losing(0),
        3,
        lambda burst: (burst.sent, burst.received) == (10, 9),
    ),
    "nothing answered": (
        losing(*range(10)),
        3,
        lambda burst: (burst.sent, burst.received, burst.reason) == (10, 0, "timeout"),
    ),
    "every answer twice": (
        lambda request: [(ASKED, reply(request))] * 2,
        None,
        lambda burst: (burst.sent, burst.received) == (10, 10),
    ),
}


@pytest.mark.parametrize("row", BURSTS)
def test_a_burst_counts(silent_namespace: str, row: str) -> None:
    forge, enough, as_expected = BURSTS[row]

    async def work(pinger: Pinger) -> Burst:
        return await pinger.burst(
            ip_address(ASKED), count=10, spacing_seconds=0.01, wait_seconds=0.1, enough=enough
        )

    burst = run_in(silent_namespace, answering(forge, work))
    assert isinstance(burst, Burst)
    assert as_expected(burst), burst


@pytest.mark.parametrize("hurries_at", [1, 6, 11], ids=["at the first echo", "at the sixth", "never"])
def test_a_burst_goes_on_while_there_is_time(silent_namespace: str, hurries_at: int) -> None:
    hurry, asked = asyncio.Event(), 0

    def answer(request: bytes) -> list[tuple[str, bytes]]:
        nonlocal asked
        asked += 1
        if asked == hurries_at:
            hurry.set()
        return [(ASKED, reply(request))]

    async def work(pinger: Pinger) -> Burst:
        return await pinger.burst(
            ip_address(ASKED), count=10, spacing_seconds=0.01, wait_seconds=0.2, enough=3, hurry=hurry
        )

    burst = run_in(silent_namespace, answering(answer, work))
    assert isinstance(burst, Burst)
    assert burst.received == burst.sent
    assert min(10, max(3, hurries_at)) <= burst.sent <= 10  # a busy machine comes round to stopping later


async def test_a_busy_moment_is_no_loss() -> None:
    """A loop that was held up for longer than the burst would take must still hear every reply."""
    async with Pinger() as pinger:
        bursting = asyncio.create_task(
            pinger.burst(ip_address("127.0.0.1"), count=10, spacing_seconds=0.01, wait_seconds=0.05)
        )
        for _ in range(5):
            time.sleep(0.06)  # noqa: ASYNC251 - holds up the loop
            await asyncio.sleep(0)
        burst = await bursting
    assert (burst.sent, burst.received) == (10, 10)


def test_a_burst_that_cannot_leave_is_not_sent() -> None:
    async def work() -> Burst:
        async with Pinger() as pinger:
            return await pinger.burst(
                ip_address("192.0.2.1"), count=3, spacing_seconds=0.01, wait_seconds=0.05, enough=1
            )

    with namespace("noroute") as name:
        assert run_in(name, work) == Burst(0, 0, (), 3, "interface", "network is unreachable")


SOCKETS = {
    "no raw socket, but the kernel's own echo socket": ("0 0", "True"),
    "neither": (
        "1 0",
        "('permission', 'needs CAP_NET_RAW, or this group within net.ipv4.ping_group_range, "
        "to send echo requests')",
    ),
}
_ASK = """
import asyncio
from ipaddress import ip_address
from locum_exporter.net.icmp import Pinger
async def main():
    async with Pinger() as pinger:
        echo = await pinger.ping(ip_address("127.0.0.1"), 1)
        burst = await pinger.burst(ip_address("127.0.0.1"), count=3, spacing_seconds=.01, wait_seconds=.1)
    return echo.rtt_seconds is not None and burst.received == 3 or (echo.reason, echo.text)
print(asyncio.run(main()))
"""


@pytest.mark.parametrize("row", SOCKETS)
def test_without_the_capability(row: str) -> None:
    group_range, said = SOCKETS[row]
    with namespace("nocap") as name:
        enter = ["ip", "netns", "exec", name]
        subprocess.run(
            [*enter, "sysctl", "-qw", f"net.ipv4.ping_group_range={group_range}"], check=True, timeout=10
        )
        drop = ["setpriv", "--bounding-set", "-net_raw", sys.executable, "-c", _ASK]
        done = subprocess.run(
            [*enter, *drop], check=False, capture_output=True, text=True, timeout=20, cwd=Path.cwd()
        )
    assert (done.stdout.strip(), done.stderr) == (said, "")

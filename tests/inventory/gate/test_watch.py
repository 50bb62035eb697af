"""One look serves everybody who asked before it began; a late answer never passes for a fresh one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from locum_inventory.gate.answers import ANSWER_LIMIT_BYTES
from locum_inventory.gate.deadline import Deadline
from locum_inventory.gate.protocol import GateError
from locum_inventory.gate.watch import Watch
from tests.support.polling import wait_for

pytestmark = pytest.mark.timed  # its deadlines are some tenths of a second


class FakeChannel:
    """A gate's watch, by hand: `answer` returns what comes back for each look."""

    def __init__(self, answer: Callable[[int], bytes], greeting: bytes = b"locum-gate 1 1\n") -> None:
        self.answer = answer
        self.waiting = greeting
        self.ended = False
        self.closed = False
        self.suspect = False

    def send(self, data: bytes, deadline: Deadline) -> None:
        self.waiting += self.answer(int(data.split()[1]))

    def receive(self, deadline: Deadline) -> bytes:
        if not self.waiting and not self.ended:
            time.sleep(deadline.left_seconds)
            raise GateError("timeout", "late")
        data, self.waiting = self.waiting[:7], self.waiting[7:]  # in pieces, as a network may
        return data

    def complaint(self) -> str:
        return "sudo: no\n"

    def is_suspect(self) -> bool:
        return self.suspect

    def close(self) -> None:
        self.closed = True


def counts(number: int, count: int = 1) -> bytes:
    return f"look {number}\nwww {count}\nend {number}\n".encode()


class Opened:
    """Channels in the order they are opened."""

    def __init__(self, *channels: FakeChannel) -> None:
        self.channels = list(channels)
        self.count = 0

    def __call__(self, deadline: Deadline) -> FakeChannel:
        self.count += 1
        return self.channels[self.count - 1]


def test_a_channel_is_kept() -> None:
    opened = Opened(FakeChannel(counts))
    watch = Watch("a", opened)
    assert [watch.look(Deadline(1)) for _ in range(3)] == [{"www": 1}] * 3
    assert opened.count == 1


def test_looks_at_the_same_time_share_the_next_one() -> None:
    looks: list[int] = []
    go = threading.Event()

    def slow(number: int) -> bytes:
        looks.append(number)
        go.wait(2)
        return counts(number, number)

    watch = Watch("a", Opened(FakeChannel(slow)))
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(watch.look(Deadline(2))["www"])) for _ in range(6)
    ]
    threads[0].start()
    wait_for(lambda: looks, "the first look has begun")
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.05)
    go.set()
    for thread in threads:
        thread.join()
    # The five came after the first look had begun: its answer is too old for them, and one more serves them all.
    assert sorted(results) == [1, 2, 2, 2, 2, 2]
    assert looks == [1, 2]


def test_a_late_answer_is_passed_over() -> None:
    late = [b"", counts(1, 9) + counts(2, 1)]
    watch = Watch("a", Opened(FakeChannel(lambda number: late[number - 1])))
    with pytest.raises(GateError, match="late"):
        watch.look(Deadline(0.02))
    assert watch.look(Deadline(1)) == {"www": 1}


def test_after_two_late_answers_a_new_channel_is_opened() -> None:
    silent = FakeChannel(lambda number: b"")
    watch = Watch("a", Opened(silent, FakeChannel(counts)))
    for _ in range(2):
        assert not silent.closed
        with pytest.raises(GateError, match="late"):
            watch.look(Deadline(0.02))
    assert silent.closed
    assert watch.look(Deadline(1)) == {"www": 1}


def test_after_a_late_answer_of_a_silent_host_a_new_channel_is_opened_at_once() -> None:
    silent = FakeChannel(lambda number: b"")
    silent.suspect = True
    watch = Watch("a", Opened(silent, FakeChannel(counts)))
    with pytest.raises(GateError, match="late"):
        watch.look(Deadline(0.02))
    assert watch.look(Deadline(1)) == {"www": 1}


def test_a_kept_channel_that_ended_is_opened_anew_within_the_same_look() -> None:
    first = FakeChannel(lambda number: counts(number) if number == 1 else b"")
    watch = Watch("a", Opened(first, FakeChannel(counts)))
    watch.look(Deadline(1))
    first.ended = True
    assert watch.look(Deadline(1)) == {"www": 1}


def test_a_channel_that_ends_at_once_is_not_tried_for_ever() -> None:
    opened = Opened(*(FakeChannel(lambda number: b"", b"locum-gate 1 1\n") for _ in range(9)))
    for channel in opened.channels:
        channel.ended = True
    with pytest.raises(GateError) as raised:
        Watch("a", opened).look(Deadline(1))
    assert (raised.value.reason, str(raised.value)) == ("closed", "a: the gate's watch ended")
    assert opened.count == 1


WRONG = {
    "no gate": (
        b"bash: status: not found\n",
        b"",
        "a: what answered is not a gate: 'bash: status: not found'",
    ),
    "a refusal": (b"locum-gate 1 1\nend refused no file\n", b"", "a: no file"),
    "no number": (
        b"locum-gate 1 1\n",
        b"look 1\nwww x\nend 1\n",
        "a: the gate's answer has an invalid line: 'www x'",
    ),
    "no end": (b"locum-gate 1 1\n", b"x" * 300_000, "a: the gate's answer is too long"),
}


@pytest.mark.parametrize(("greeting", "answer", "text"), WRONG.values(), ids=WRONG.keys())
def test_an_answer_that_is_none_is_a_fault(greeting: bytes, answer: bytes, text: str) -> None:
    channel = FakeChannel(lambda number: answer, greeting)
    with pytest.raises(GateError) as raised:
        Watch("a", Opened(channel)).look(Deadline(1))
    assert (raised.value.reason, str(raised.value)) == ("gate", text)
    assert channel.closed


def test_nothing_but_a_complaint() -> None:
    channel = FakeChannel(lambda number: b"", b"")
    channel.ended = True
    with pytest.raises(GateError) as raised:
        Watch("a", Opened(channel)).look(Deadline(1))
    assert (raised.value.reason, str(raised.value)) == ("gate", "a: no gate answered: sudo: no")


class Flood(FakeChannel):
    """A host that sends lines as fast as they are read, and never the last one."""

    sent = 0

    def receive(self, deadline: Deadline) -> bytes:
        if self.waiting:
            return super().receive(deadline)
        if self.sent > 50 * ANSWER_LIMIT_BYTES:
            pytest.fail("the whole flood was read")
        lines = b"".join(b"s%d 1\n" % number for number in range(self.sent, self.sent + 1000))
        self.sent += len(lines)
        return lines


def test_e7_an_answer_of_ever_more_lines_is_read_to_its_bound_and_no_further() -> None:
    channel = Flood(lambda number: f"look {number}\n".encode())
    with pytest.raises(GateError, match=r"^a: the gate's answer is too long$"):
        Watch("a", Opened(channel)).look(Deadline(30))
    assert channel.closed

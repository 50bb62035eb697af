"""A connection that is kept: what is given up while it is being made."""

from __future__ import annotations

import threading
import time

import pytest

from locum_inventory.gate.deadline import Deadline
from locum_inventory.gate.protocol import GateError
from locum_inventory.gate.ssh_connection import Connection
from locum_inventory.gate.ssh_reconnect import KeptConnection


class Fake(Connection):
    """A connection that needs no sshd."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    @property
    def is_usable(self) -> bool:
        """Until it is closed."""
        return not self.closed.is_set()

    def close(self) -> None:
        """Remember."""
        self.closed.set()


def test_what_is_dialled_when_it_is_closed_is_not_kept() -> None:
    """Every reload in the middle of a login would leave a connection behind for ever."""
    begun, may_end, late = threading.Event(), threading.Event(), Fake()

    def dial() -> Connection:
        begun.set()
        assert may_end.wait(3)
        return late

    kept = KeptConnection("a", dial)

    def give_up() -> None:
        assert begun.wait(3)
        kept.close()
        may_end.set()

    threading.Thread(target=give_up).start()
    with pytest.raises(GateError, match="a: the connection was abandoned"):
        kept.get(Deadline(3))
    assert late.closed.wait(1)


def test_after_a_close_a_new_one_is_made() -> None:
    made: list[Fake] = []

    def dial() -> Connection:
        made.append(Fake())
        return made[-1]

    kept = KeptConnection("a", dial)
    first = kept.get(Deadline(1))
    kept.close()
    time.sleep(0.2)  # an attempt comes no sooner after the one before
    assert kept.get(Deadline(1)) is not first
    assert made[0].closed.is_set()


def test_an_attempt_that_may_wait_in_vain_is_not_waited_for_in_a_hurry() -> None:
    """A host that has just come back: the packet of the attempt before was sent to no host."""
    begun, may_end, vain, good = threading.Event(), threading.Event(), Fake(), Fake()

    def dial() -> Connection:
        if begun.is_set():
            return good
        begun.set()
        assert may_end.wait(5)
        return vain

    kept = KeptConnection("a", dial)
    first: list[Connection] = []
    waiting = threading.Thread(target=lambda: first.append(kept.get(Deadline(4))))
    waiting.start()
    assert begun.wait(3)
    kept.retry_now()
    waiting.join(3)
    assert first == [good]
    may_end.set()
    assert vain.closed.wait(1)
    assert kept.get(Deadline(1)) is good


def test_no_pause_in_a_hurry() -> None:
    attempts: list[float] = []

    def dial() -> Connection:
        attempts.append(time.monotonic())
        raise GateError("refused", "a: refused")

    kept = KeptConnection("a", dial)
    for _ in range(20):
        kept.retry_now()
        with pytest.raises(GateError, match="a: refused"):
            kept.get(Deadline(2))
    assert len(attempts) == 20


def test_a_connection_that_works_is_not_given_up_in_a_hurry() -> None:
    kept = KeptConnection("a", Fake)
    first = kept.get(Deadline(1))
    kept.retry_now()
    assert kept.get(Deadline(1)) is first

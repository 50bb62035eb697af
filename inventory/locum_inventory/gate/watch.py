"""The persistent `watch` of a gate: one scan of the process table serves all concurrent callers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from locum_inventory.gate.answers import ANSWER_LIMIT_BYTES, clean, number, parse_banner, refusal
from locum_inventory.gate.deadline import Deadline
from locum_inventory.gate.protocol import GateError


class WatchChannel(Protocol):
    """The byte stream to and from the `watch` of a gate."""

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of `data`. Raises `GateError`."""

    def receive(self, deadline: Deadline) -> bytes:
        """Return received bytes, b"" at the end. Raises `GateError`: `timeout` at the deadline."""

    def complaint(self) -> str:
        """Return what has arrived on standard error."""

    def is_suspect(self) -> bool:
        """Whether the other side may be gone; called after a late answer."""

    def close(self) -> None:
        """Close the channel."""


class Watch:
    """Counts processes over one channel, which is opened on demand and kept open."""

    def __init__(self, host: str, open_channel: Callable[[Deadline], WatchChannel]) -> None:
        self._host = host
        self._open_channel = open_channel
        self._channel: WatchChannel | None = None
        self._lines = _Lines()
        self._greeted = False
        self._late = 0  # consecutive late answers
        self._turn = threading.Condition()
        self._looking = False
        self._begun = 0  # each request carries this number, so that a late answer is recognised
        self._answered = 0
        self._counts: Mapping[str, int] = {}

    def look(self, deadline: Deadline) -> Mapping[str, int]:
        """Count processes by service, in a scan that begins after this call."""
        with self._turn:
            needed = self._begun + 1
            while self._looking and self._answered < needed:
                if not self._turn.wait(deadline.left_seconds):
                    raise GateError("timeout", f"{self._host}: the gate was still busy with another check")
            if self._answered >= needed:
                return self._counts
            self._looking = True
            self._begun += 1
            sequence = self._begun
        counts: Mapping[str, int] | None = None
        try:
            counts = self._ask(sequence, deadline)
        finally:
            with self._turn:
                self._looking = False
                if counts is not None:
                    self._answered, self._counts = sequence, counts
                self._turn.notify_all()
        return counts

    def close(self) -> None:
        """Close the channel."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _ask(self, sequence: int, deadline: Deadline) -> Mapping[str, int]:
        was_kept = self._channel is not None
        try:
            return self._ask_once(sequence, deadline)
        except GateError as fault:
            # The gate ends a watch that was idle for long, or whose host file has changed: begin a new one.
            if fault.reason != "closed" or not was_kept:
                raise
            return self._ask_once(sequence, deadline)

    def _ask_once(self, sequence: int, deadline: Deadline) -> Mapping[str, int]:
        try:
            if self._channel is None:
                self._lines, self._greeted, self._late = _Lines(), False, 0
                self._channel = self._open_channel(deadline)
            self._channel.send(b"look %d\n" % sequence, deadline)
            counts = self._read(self._channel, sequence, deadline)
        except GateError as fault:
            self._late += 1
            # After one late answer the channel is kept: the number distinguishes it from the next one.
            if fault.reason != "timeout" or self._late > 1 or (self._channel and self._channel.is_suspect()):
                self.close()
            raise
        self._late = 0
        return counts

    def _read(self, channel: WatchChannel, sequence: int, deadline: Deadline) -> Mapping[str, int]:
        counts: dict[str, int] | None = None
        left_bytes = ANSWER_LIMIT_BYTES
        while True:
            line = self._next_line(channel, deadline)
            # A compromised host may send endless lines, and faster than they are read.
            left_bytes -= len(line) + 1
            if left_bytes < 0:
                raise GateError("gate", f"{self._host}: the gate's answer is too long")
            if not self._greeted:
                parse_banner(line, self._host)
                self._greeted = True
                continue
            word, _, value = line.partition(" ")
            if word == "look":
                counts = {} if value == str(sequence) else None
            elif word == "end" and not value[:1].isdigit():
                raise refusal(value, self._host)
            elif counts is not None and word == "end" and value == str(sequence):
                return counts
            elif counts is not None:
                try:
                    counts[word] = number(value)
                except ValueError:
                    raise GateError(
                        "gate", f"{self._host}: the gate's answer has an invalid line: {clean(line)!r}"
                    ) from None

    def _next_line(self, channel: WatchChannel, deadline: Deadline) -> str:
        while (line := self._lines.take()) is None:
            data = channel.receive(deadline)
            if not data and self._greeted:
                raise GateError("closed", f"{self._host}: the gate's watch ended")
            if not data:
                complaint = clean(channel.complaint())
                raise GateError(
                    "gate", f"{self._host}: no gate answered{f': {complaint}' if complaint else ''}"
                )
            if not self._lines.add(data):
                raise GateError("gate", f"{self._host}: the gate's answer is too long")
        return line


class _Lines:
    """Splits bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, data: bytes) -> bool:
        """Add bytes; return False if the buffer exceeds the size of any valid answer."""
        self._rest += data
        return len(self._rest) <= ANSWER_LIMIT_BYTES

    def take(self) -> str | None:
        """Return the next complete line without its line break, or None."""
        line, newline, rest = self._rest.partition(b"\n")
        if not newline:
            return None
        self._rest = rest
        return line.decode("utf-8", "replace")

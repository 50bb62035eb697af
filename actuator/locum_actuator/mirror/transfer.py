"""Copy one directory from one host to another: two pipes connect the gates of source and destination.

The data never pass through this process: each gate's command line reads the other's output. So no host needs a key
for another, and only the actuator can start a run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from locum_actuator.domain.mirror_run import TreeCount
from locum_actuator.mirror.gate_commands import ENVIRONMENT, GateVerdict
from locum_actuator.mirror.rsync_output import complaints, progress, statistics, vanished

POLL_SECONDS = 0.05
END_SECONDS = 10.0  # for the other end to detect that its peer has ended
LINE_BYTES = 4096  # of an incomplete line
SAID_BYTES = 65536  # of each end, the first and the last half of it
ONCE_MORE = "locum-mirror again"  # printed by the destination's gate if files vanished at the source

OnProgress = Callable[[int, int, float], None]  # bytes done, percent, seconds left


@dataclass(frozen=True, slots=True)
class Ended:
    """How a transfer ended. `word` is the verdict; "" if neither end gave one."""

    word: str
    text: str
    count: TreeCount = field(default_factory=TreeCount)
    vanished: bool = False  # files vanished at the source: another pass may copy them under their new names


class Transfer:
    """The transfer of one directory, which another thread may cancel."""

    def __init__(self, send: Sequence[str], receive: Sequence[str], on_progress: OnProgress | None) -> None:
        self._commands = {"source": list(send), "destination": list(receive)}
        self._on_progress = on_progress
        self._ends: dict[str, _End] = {}
        self._why_ended: str | None = None

    def cancel(self, why: str) -> None:
        """End it as soon as possible."""
        self._why_ended = self._why_ended or why
        for end in list(self._ends.values()):
            end.kill()

    def run(self, deadline_seconds: float) -> Ended:
        """Run the transfer; at its deadline both ends are killed."""
        try:
            self._start()
        except OSError as fault:
            self.cancel("")
            return Ended("refused", f"cannot run {fault.filename or 'a program'}: {fault.strerror}")
        end_by = time.monotonic() + deadline_seconds
        while any(end.is_running for end in self._ends.values()):
            if self._why_ended is not None:
                for end in self._ends.values():
                    end.kill()
            elif time.monotonic() >= end_by:
                self.cancel(f"timed out after {deadline_seconds:.0f} s")
            elif any(not end.is_running for end in self._ends.values()):
                # One end has ended: the other finds its pipe closed and ends soon.
                end_by = min(end_by, time.monotonic() + END_SECONDS)
            if self._why_ended is not None and time.monotonic() >= end_by + END_SECONDS:
                break
            self._ends["destination"].wait(POLL_SECONDS)
        return self._judged()

    def _start(self) -> None:
        to_source, from_source = os.pipe(), os.pipe()
        try:
            # No later child must keep a pipe open: Popen passes on only descriptors 0, 1 and 2.
            self._ends["source"] = _End(self._commands["source"], to_source[0], from_source[1], None)
            self._ends["destination"] = _End(
                self._commands["destination"], from_source[0], to_source[1], self._on_progress
            )
        finally:
            for descriptor in (*to_source, *from_source):
                os.close(descriptor)

    def _judged(self) -> Ended:
        source, destination = self._ends["source"], self._ends["destination"]
        of_source, of_destination = GateVerdict.of(source.said()), GateVerdict.of(destination.said())
        if of_destination.word == "ok":
            return Ended("ok", "", statistics(destination.said()))
        began = "locum-gate " in destination.said()  # a gate prints this before it does anything
        if self._why_ended is not None:
            return Ended("" if began else "refused", self._why_ended)
        if of_source.word in {"refused", "failed", "old_epoch"}:
            # The source refused before it sent anything: the destination's message is only a consequence.
            return Ended("refused", of_source.text)
        said = destination.said()
        if of_destination.word:
            why = vanished(f"{said}\n{source.said()}") or complaints(said, source.said())
            because = f": {why}" if why and of_destination.word == "failed" else ""
            is_another_due = of_destination.word == "failed" and ONCE_MORE in said.splitlines()
            return Ended(of_destination.word, of_destination.text + because, vanished=is_another_due)
        why = complaints(said, source.said())
        return Ended("" if began else "refused", why or "the connection was closed")


class _End:
    """One gate of a transfer, as a child of this process, with its standard error."""

    def __init__(self, command: list[str], read: int, write: int, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._first, self._last = bytearray(), bytearray()
        self._process = subprocess.Popen(
            command, stdin=read, stdout=write, stderr=subprocess.PIPE, env=ENVIRONMENT, cwd="/",
            start_new_session=True, bufsize=0,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, name="mirror-end", daemon=True)
        self._reader.start()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def kill(self) -> None:
        """Kill the process group; a gate that runs as root through sudo ends when its pipes close."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def said(self) -> str:
        """Return the standard error of an ended gate."""
        self._reader.join(1.0)  # a process it left behind may keep the pipe open
        if not self._reader.is_alive() and self._process.stderr is not None:
            self._process.stderr.close()
        return (bytes(self._first) + bytes(self._last)).decode("utf-8", "replace").replace("\r", "\n")

    def _read(self) -> None:
        stream = self._process.stderr
        rest = b""
        while stream is not None and (chunk := stream.read(4096)):
            room = SAID_BYTES // 2 - len(self._first)
            self._first += chunk[: max(0, room)]
            self._last = (self._last + chunk[max(0, room) :])[-SAID_BYTES // 2 :]
            if self._on_progress is not None:
                *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
                rest = rest[-LINE_BYTES:]  # the other host may send a line without an end
                for line in lines:
                    if (found := progress(line.decode("ascii", "replace"))) is not None:
                        self._on_progress(*found)

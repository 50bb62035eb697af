"""The gate of this machine, run as a process; through `sudo -n` if not root."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Literal

from locum_inventory.gate.answers import ANSWER_LIMIT_BYTES, read_answer
from locum_inventory.gate.client_base import GateClientBase
from locum_inventory.gate.deadline import OWN_LIMITS, Deadline, within
from locum_inventory.gate.host_file import GATE_PATH
from locum_inventory.gate.protocol import GateError, GateStatus

# A sudo that hangs must not exhaust the descriptors of this process call by call. Status calls and changes have
# separate limits, so that neither waits for the other.
CALLS_AT_ONCE = 16
COMPLAINT_SECONDS = 0.1


class LocalGate(GateClientBase):
    """A `GateClient` on this machine."""

    def __init__(
        self, host: str, role: Literal["actuator", "exporter"], *, gate_path: Path = GATE_PATH
    ) -> None:
        super().__init__(host)
        self._gate_path = gate_path
        self._room_for_looks = threading.BoundedSemaphore(CALLS_AT_ONCE)
        self._room_for_changes = threading.BoundedSemaphore(CALLS_AT_ONCE)
        self._command = [*([] if os.geteuid() == 0 else ["sudo", "-n", "--"]), str(gate_path), role]

    def count_processes(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Count the live processes of every service, over the open `watch`."""
        return self._watch.look(Deadline(deadline_seconds))

    def retry_now(self) -> None:
        """Do nothing: there is no connection to retry."""

    def close(self) -> None:
        """End the kept `watch`."""
        self._watch.close()

    def _ask_status(self, deadline: Deadline) -> GateStatus:
        return self._ask(self._room_for_looks, deadline, "status")

    def _change(self, deadline: Deadline, *words: str) -> GateStatus:
        return self._ask(self._room_for_changes, deadline, *words)

    def _ask(self, room: threading.BoundedSemaphore, deadline: Deadline, *words: str) -> GateStatus:

        def run() -> tuple[bytes, bytes]:
            # Ends before the deadline, so that the caller learns that the gate was not called.
            self._enter(room, deadline.sooner(deadline.left_seconds * 0.9))
            # Past its deadline the gate is left running: an interrupted release would be worse than a late one.
            try:
                with self._start(*words) as process:
                    return process.communicate()
            finally:
                room.release()

        late_text = f"{self._host}: the gate did not finish {words[0]} within {deadline.seconds:g} s"
        answer, complaint = within(deadline, late_text, run)
        return read_answer(
            answer[:ANSWER_LIMIT_BYTES].decode("utf-8", "replace"),
            complaint.decode("utf-8", "replace"),
            self._host,
        )

    def _open_watch(self, deadline: Deadline) -> _WatchProcess:
        room = self._room_for_looks
        self._enter(room, deadline)
        try:
            return _WatchProcess(self._start("watch"), room.release)
        except BaseException:
            room.release()
            raise

    def _enter(self, room: threading.BoundedSemaphore, deadline: Deadline) -> None:
        """Wait until one more process may run; it gives its place back when it has ended."""
        if not room.acquire(timeout=deadline.left_seconds):
            raise GateError.busy(f"{self._host}: {CALLS_AT_ONCE} calls of the gate are already hanging")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        if not self._gate_path.exists():
            raise GateError(
                "gate", f"{self._host}: {self._gate_path} is missing: run `locum enrol {self._host}`"
            )
        try:
            # In a separate session, so that Ctrl-C in a terminal does not interrupt a release half-way.
            return subprocess.Popen(
                [*self._command, *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            text = f"{self._host}: the gate cannot be run: {error.strerror}"
            raise GateError.busy(text) if error.errno in OWN_LIMITS else GateError("gate", text) from None


class _WatchProcess:
    """The `watch` verb of a gate, over pipes."""

    def __init__(self, process: subprocess.Popen[bytes], ended: Callable[[], None]) -> None:
        self._process = process
        self._ended = ended

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of it; a line is far smaller than a pipe, so this does not block."""
        try:
            _pipe(self._process.stdin).write(data)
        except OSError:
            raise GateError("closed", "the gate's watch ended") from None

    def receive(self, deadline: Deadline) -> bytes:
        """Return received bytes."""
        output = _pipe(self._process.stdout)
        poll = select.poll()
        poll.register(output, select.POLLIN)
        if not poll.poll(deadline.left_seconds * 1000):
            raise GateError("timeout", "the gate did not answer a check in time")
        return os.read(output.fileno(), 65536)

    def complaint(self) -> str:
        """Return what it wrote to standard error before it ended."""
        errors = _pipe(self._process.stderr)
        poll = select.poll()
        poll.register(errors, select.POLLIN)
        if not poll.poll(COMPLAINT_SECONDS * 1000):
            return ""
        return os.read(errors.fileno(), 4096).decode("utf-8", "replace")

    def is_suspect(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Close its input, which ends it."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            _pipe(pipe).close()
        # Reaped in the background: the end of its input ends it, and a process of root cannot be killed from here.
        threading.Thread(target=self._reap, name="locum-reap", daemon=True).start()

    def _reap(self) -> None:
        self._process.wait()
        self._ended()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise TypeError("the process was started without this pipe")
    return pipe

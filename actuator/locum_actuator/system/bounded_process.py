"""Run a program with a deadline and bounded output; its input appears neither in arguments nor on disk."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from locum_inventory.errors import LocumError

MAX_OUTPUT_BYTES = (
    65536  # of each stream; more output is read and discarded, so that the program never blocks on a pipe
)
KILLED_SECONDS = 1.0  # for a killed program to end
_CHUNK_BYTES = 65536


class ProcessError(LocumError):
    """The program could not be started, or did not end within its deadline."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended: its exit status (negative: the signal that killed it) and what it printed."""

    status: int
    output: str
    errors: str


def run_bounded(
    argv: Sequence[str], text: str, *, deadline_seconds: float, environment: Mapping[str, str]
) -> Ran:
    """Run a program with `text` on its standard input; raises `ProcessError`.

    The text is in a file in memory (memfd_create(2)): a program that never reads cannot block us, and the text
    appears neither in arguments nor on a disk. What the program leaves behind in its process group is killed.
    """
    end = time.monotonic() + deadline_seconds
    with open(os.memfd_create("input"), "w+b") as given:  # noqa: PTH123 - a descriptor, no path
        given.write(text.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                argv,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as fault:
            why = os.strerror(fault.errno) if isinstance(fault, OSError) and fault.errno else str(fault)
            raise ProcessError(f"cannot be started: {why}") from None
    ended, output, errors = False, b"", b""
    try:
        output, errors, ended = _listen(process, end)
    finally:
        status = _end(process)
    if not ended or status is None:
        raise ProcessError(f"did not end within {deadline_seconds:.1f} s and was killed")
    return Ran(status, output.decode(errors="replace"), errors.decode(errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> int | None:
    """Kill a program's remaining processes; return its exit status, None if SIGKILL took too long."""
    # Before wait(): until then no other process can get its process id, and so its group's.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in _streams(process):
        stream.close()
    try:
        return process.wait(KILLED_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _streams(process: subprocess.Popen[bytes]) -> list[IO[bytes]]:
    return [stream for stream in (process.stdout, process.stderr) if stream is not None]


def _listen(process: subprocess.Popen[bytes], end: float) -> tuple[bytes, bytes, bool]:
    """Read both streams until the program has ended; a child of it may keep them open for longer."""
    heard = {stream: bytearray() for stream in _streams(process)}
    pidfd = os.pidfd_open(process.pid)
    ended = False
    try:
        with selectors.DefaultSelector() as ready:
            ready.register(pidfd, selectors.EVENT_READ)
            for stream in heard:
                os.set_blocking(stream.fileno(), False)
                ready.register(stream, selectors.EVENT_READ, stream)
            while not ended and (left := end - time.monotonic()) > 0:
                for key, _ in ready.select(left):
                    if key.data is None:
                        ended = True
                    elif not _read(key.data, heard[key.data]):
                        ready.unregister(key.fileobj)
        for stream, words in heard.items():
            _read(stream, words)
    finally:
        os.close(pidfd)
    output, errors = map(bytes, heard.values())
    return output, errors, ended


def _read(stream: IO[bytes], words: bytearray) -> bool:
    """Read once; return whether more may come."""
    try:
        chunk = os.read(stream.fileno(), _CHUNK_BYTES)
    except BlockingIOError:
        return True
    words += chunk[: MAX_OUTPUT_BYTES - len(words)]
    return bool(chunk)

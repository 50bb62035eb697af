"""Runs programs of locum in processes of their own, without starting Python and importing locum for each.

A process is started once and imports what is asked for; it forks for each program. To start Python and import the
actuator takes a second of processor time, and a fork takes some milliseconds. What depends on how a program is
started, such as its options of Python, is for tests that start it for real.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000
SECONDS = 60  # for a program to end
LONGEST_SECONDS = 600  # after which a program is killed whose test was killed


@dataclass(frozen=True)
class Done:
    """How a program ended, as `subprocess.CompletedProcess` has it, and what it wrote to stderr."""

    returncode: int
    stderr: str


class ForkedProgram:
    """A running program; its methods are those of `subprocess.Popen`."""

    def __init__(self, programs: ForkedPrograms, pid: int) -> None:
        self._programs, self.pid = programs, pid
        self._ends = os.pidfd_open(pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, or None if it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float = SECONDS) -> int:
        """Wait until it ends and return how."""
        if (code := self._ended(timeout)) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code

    def _ended(self, seconds: float) -> int | None:
        if self.returncode is None and select.select([self._ends], [], [], seconds)[0]:
            self.returncode = self._programs.ask(self.pid)
            os.close(self._ends)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            signal.pidfd_send_signal(self._ends, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class ForkedPrograms:
    """Runs programs; see `forked_programs`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, order: object) -> int:
        """Give the process an order and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    @contextmanager
    def started(
        self, entry: str, words: Sequence[str], stderr: Path, before: str = "", *, own_network: bool = False
    ) -> Iterator[ForkedProgram]:
        """Run a `module:function` with these words until the end of the block.

        It runs after a shell command, which its process waits for: in a network namespace of its own, for example.
        """
        order = [entry, list(words), str(stderr), before, own_network, dict(os.environ)]
        program = ForkedProgram(self, self.ask(order))
        try:
            yield program
        finally:
            program.kill()
            program.wait()

    def run(self, entry: str, words: Sequence[str], before: str = "", *, own_network: bool = False) -> Done:
        """Run a program to its end."""
        with tempfile.NamedTemporaryFile() as written:
            path = Path(written.name)
            with self.started(entry, words, path, before, own_network=own_network) as program:
                program.wait()
            return Done(program.wait(), path.read_text())


@contextmanager
def forked_programs(modules: Sequence[str]) -> Iterator[ForkedPrograms]:
    """Start the process that imports `modules` and forks."""
    with subprocess.Popen(
        [sys.executable, "-P", __file__, *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield ForkedPrograms(process)
        process.communicate(timeout=SECONDS)  # the end of its input ends it


def _serve(modules: Sequence[str]) -> None:
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if isinstance(order, int):
            answer = os.waitstatus_to_exitcode(os.waitpid(order, 0)[1])
        elif (answer := os.fork()) == 0:
            _become(*order)
        print(answer, flush=True)


def _become(
    entry: str, words: list[str], stderr: str, before: str, own_network: bool, environment: Mapping[str, str]
) -> None:
    """Do what a program does that has just been started, in a process that was forked for it."""
    signal.alarm(LONGEST_SECONDS)
    gc.unfreeze()
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)
    os.environ.clear()
    os.environ.update(environment)
    if own_network and ctypes.CDLL(None).unshare(_CLONE_NEWNET) != 0:
        raise OSError("unshare")
    if before:
        subprocess.run(["sh", "-ec", before], check=True)
    module, _, function = entry.partition(":")
    sys.argv = [module, *words]
    # What it raises, and its exit code, leave through the loop above, and so through Python's own end.
    sys.exit(getattr(importlib.import_module(module), function)())


if __name__ == "__main__":
    _serve(sys.argv[1:])

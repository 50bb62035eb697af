"""Runs programs of locum in processes of their own, without starting Python and importing locum for each.

A process is started once and imports what is asked for; it forks for each program. To start Python and import the
actuator takes a second of processor time, and a fork takes some milliseconds.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

SECONDS = 60  # for a program to end


@dataclass(frozen=True)
class Done:
    """How a program ended, as `subprocess.CompletedProcess` has it, and what it wrote to stderr."""

    returncode: int
    stderr: str


class ForkedPrograms:
    """Runs programs one after another; see `forked_programs`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, entry: str, words: Sequence[str], before: str = "") -> Done:
        """Run a `module:function` with these words, after a shell command in the same process's namespaces."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([entry, list(words), before]) + "\n")
        self._process.stdin.flush()
        return Done(*json.loads(self._process.stdout.readline()))


@contextmanager
def forked_programs(modules: Sequence[str], prefix: Sequence[str] = ()) -> Iterator[ForkedPrograms]:
    """Start the process that imports `modules` and forks; `prefix` is a command that starts it, such as unshare."""
    with subprocess.Popen(
        [*prefix, sys.executable, "-P", __file__, *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield ForkedPrograms(process)
        process.communicate(timeout=SECONDS)  # the end of its input ends it


def _serve(modules: Sequence[str]) -> None:
    for name in modules:
        importlib.import_module(name)
    for line in sys.stdin:
        entry, words, before = json.loads(line)
        with tempfile.TemporaryFile() as written:
            child = os.fork()
            if child == 0:
                _become(entry, words, before, written.fileno())
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            written.seek(0)
            print(json.dumps([status, written.read().decode()]), flush=True)


def _become(entry: str, words: Sequence[str], before: str, stderr: int) -> None:
    """Do what a program does that has just been started, in a process that was forked for it."""
    signal.alarm(SECONDS)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    os.dup2(stderr, 2)
    subprocess.run(["sh", "-ec", before], check=True)
    module, _, function = entry.partition(":")
    sys.argv = [module, *words]
    # What it raises, and its exit code, leave through the loop above, and so through Python's own end.
    sys.exit(getattr(importlib.import_module(module), function)())


if __name__ == "__main__":
    _serve(sys.argv[1:])

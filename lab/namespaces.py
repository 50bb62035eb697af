"""Entering and leaving: the anchor that holds a lab together, and processes started inside a namespace."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab.needs import ENVIRONMENT, LabError

INSIDE = Path(__file__).parent / "inside"
PYTHON = (sys.executable, "-I", "-S", "-B")  # standard library only, and quick to start
START_SECONDS = 10.0


class Inside(subprocess.Popen[Any]):
    """A process in a host's namespaces, started through nsenter.

    It is a Popen in every way, except that signals go to the process itself and not to the nsenter that waits
    for it; nsenter then ends the same way, so that `returncode` is the process's own.
    """

    def send_signal(self, sig: int) -> None:
        """Send a signal to the process inside; nothing happens if it has ended."""
        deadline = time.monotonic() + 1
        while self.poll() is None and time.monotonic() < deadline:
            pid = self.inner_pid
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sig)
                return
            time.sleep(0.001)  # nsenter has not come round to starting it
        super().send_signal(sig)

    def terminate(self) -> None:
        """Ask the process inside to end (SIGTERM)."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process inside (SIGKILL)."""
        self.send_signal(signal.SIGKILL)

    @property
    def inner_pid(self) -> int | None:
        """The process inside, by the machine's numbering; None before it runs and after it ended."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children.split()[0]) if children.split() else None


def enter(pid: int, kinds: str, argv: Sequence[str]) -> list[str]:
    """Return the command line that runs `argv` in namespaces of process `pid`: m(ount), u(ts), n(et), p(id)."""
    return ["nsenter", f"--target={pid}", *(f"-{kind}" for kind in kinds), "--", *argv]


def command(pid: int, kinds: str, argv: Sequence[str], *, text: str = "", seconds: float = 10.0) -> str:
    """Run a program of the lab's own in namespaces of process `pid`; return what it printed, or raise."""
    done = subprocess.run(
        enter(pid, kinds, argv),
        env=dict(ENVIRONMENT), input=text, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {' '.join(done.stderr.split())}")
    return done.stdout


@dataclass
class Reporter:
    """A process that reports on a pipe. What it says on standard error is kept for the case that it fails."""

    process: subprocess.Popen[bytes]
    pipe: int
    errors: IO[bytes]

    def line(self, seconds: float, what: str) -> str:
        """Read one line within a deadline; raise `LabError` if it does not come."""
        deadline = time.monotonic() + seconds
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.pipe], [], [], left)[0]:
                raise LabError(f"{what}: no word within {seconds:g} s")
            byte = os.read(self.pipe, 1)
            if not byte:
                raise LabError(f"{what} ended before it was ready: {self._last_words()}")
            line += byte
        return line.decode().strip()

    def close(self) -> None:
        """Close what this process holds of it; the process itself goes on."""
        os.close(self.pipe)
        self.errors.close()

    def _last_words(self) -> str:
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else "it said nothing"


def start(make_argv: Callable[[int], Sequence[str]], *, stdin: int, pass_fds: Sequence[int] = ()) -> Reporter:
    """Start a process that reports on a pipe, whose writing end `make_argv` gets as a number."""
    reading, writing = os.pipe()
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the reporter
    try:
        process = subprocess.Popen(
            make_argv(writing), stdin=stdin, stderr=errors,
            env=dict(ENVIRONMENT), pass_fds=(writing, *pass_fds), start_new_session=True,
        )  # fmt: skip
    except BaseException:
        os.close(reading)
        errors.close()
        raise
    finally:
        os.close(writing)
    return Reporter(process, reading, errors)


class Anchor:
    """Holds the lab's outermost namespaces: network (the switch is in it), mounts (the disks), processes."""

    def __init__(self) -> None:
        owner = os.pidfd_open(os.getpid())
        try:
            reporter = start(
                lambda writing: [
                    "unshare", "--net", "--mount", "--pid", "--fork", "--propagation=private",
                    *PYTHON, str(INSIDE / "anchor.py"), str(owner), str(writing),
                ],
                stdin=subprocess.DEVNULL, pass_fds=(owner,),
            )  # fmt: skip
        finally:
            os.close(owner)
        self._process = reporter.process
        try:
            self.pid = int(reporter.line(START_SECONDS, "the lab's anchor"))
        finally:
            reporter.close()
        if Path(f"/proc/{self.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            self.close()
            raise LabError("the lab got no network of its own")  # nothing may ever reach the machine's
        command(self.pid, "m", ["mount", "-t", "tmpfs", "-o", "mode=700", "lab", "/run"])

    @property
    def directory(self) -> Path:
        """The lab's own directory in memory, seen from outside; it vanishes with the lab."""
        return Path(f"/proc/{self.pid}/root/run")

    def close(self) -> None:
        """End every process of the lab and drop all that they held."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._process.wait(timeout=START_SECONDS)

"""Entering and leaving: the anchor that holds a lab together, and processes started inside a namespace."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab.needs import ENVIRONMENT, LabFault

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
        raise LabFault(f"{' '.join(argv)} ended with {done.returncode}: {' '.join(done.stderr.split())}")
    return done.stdout


def start(make_argv: Callable[[int], Sequence[str]], *, stdin: int, pass_fds: Sequence[int] = ()) -> tuple[
    subprocess.Popen[bytes], int
]:  # fmt: skip
    """Start a process that reports on a pipe; return it and the pipe's reading end. `make_argv` gets the writing end."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            make_argv(writing),
            stdin=stdin, env=dict(ENVIRONMENT), pass_fds=(writing, *pass_fds), start_new_session=True,
        )  # fmt: skip
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return process, reading


def read_line(descriptor: int, seconds: float, what: str) -> str:
    """Read one line from a pipe within a deadline; raise `LabFault` if it does not come."""
    deadline = time.monotonic() + seconds
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise LabFault(f"{what}: no word within {seconds:g} s")
        byte = os.read(descriptor, 1)
        if not byte:
            raise LabFault(f"{what}: ended before it was ready")
        line += byte
    return line.decode().strip()


class Anchor:
    """Holds the lab's outermost namespaces: network (the switch is in it), mounts (the disks), processes."""

    def __init__(self) -> None:
        owner = os.pidfd_open(os.getpid())
        try:
            self._process, report = start(
                lambda writing: [
                    "unshare", "--net", "--mount", "--pid", "--fork", "--propagation=private",
                    *PYTHON, str(INSIDE / "anchor.py"), str(owner), str(writing),
                ],
                stdin=subprocess.DEVNULL, pass_fds=(owner,),
            )  # fmt: skip
        finally:
            os.close(owner)
        try:
            self.pid = int(read_line(report, START_SECONDS, "the lab's anchor"))
        finally:
            os.close(report)
        if Path(f"/proc/{self.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            self.close()
            raise LabFault("the lab got no network of its own")  # nothing may ever reach the machine's
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

"""The anchor of a lab's namespaces, and processes started inside a namespace."""

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
PYTHON = (sys.executable, "-I", "-S", "-B")  # standard library only, for a quick start
START_SECONDS = 10.0
# For the kernel to end every process, network and disk of the lab, which takes long on a busy machine.
END_SECONDS = 60.0


class Inside(subprocess.Popen[Any]):
    """A process in a host's namespaces, started through nsenter.

    It behaves like a Popen, except that signals go to the process itself and not to the nsenter that waits for it;
    nsenter then ends in the same way, so that `returncode` is that of the process.
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
            time.sleep(0.001)  # nsenter has not started it yet
        super().send_signal(sig)

    def terminate(self) -> None:
        """Send SIGTERM to the process inside."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the process inside."""
        self.send_signal(signal.SIGKILL)

    @property
    def inner_pid(self) -> int | None:
        """The machine's process id of the process inside; None before it runs and after it has ended."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children.split()[0]) if children.split() else None


def enter(pid: int, kinds: str, argv: Sequence[str]) -> list[str]:
    """Return the command line that runs `argv` in namespaces of process `pid`: m(ount), u(ts), n(et), p(id)."""
    return ["nsenter", f"--target={pid}", *(f"-{kind}" for kind in kinds), "--", *argv]


def command(pid: int, kinds: str, argv: Sequence[str], *, text: str = "", seconds: float = 10.0) -> str:
    """Run a program of the lab in namespaces of process `pid`; return its output, or raise."""
    done = subprocess.run(
        enter(pid, kinds, argv),
        env=dict(ENVIRONMENT), input=text, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {' '.join(done.stderr.split())}")
    return done.stdout


@dataclass
class Reporter:
    """A process that reports on a pipe. Its standard error is kept for an error message."""

    process: subprocess.Popen[bytes]
    pipe: int
    errors: IO[bytes]

    def line(self, seconds: float, what: str) -> str:
        """Read one line within a deadline; raise `LabError` if it does not arrive."""
        deadline = time.monotonic() + seconds
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.pipe], [], [], left)[0]:
                raise LabError(f"{what}: no report within {seconds:g} s")
            byte = os.read(self.pipe, 1)
            if not byte:
                raise LabError(f"{what} ended before it was ready: {self._last_words()}")
            line += byte
        return line.decode().strip()

    def close(self) -> None:
        """Close this process's end of the pipe; the reporting process continues."""
        os.close(self.pipe)
        self.errors.close()

    def _last_words(self) -> str:
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else "it printed nothing"


def start(make_argv: Callable[[int], Sequence[str]], *, stdin: int, pass_fds: Sequence[int] = ()) -> Reporter:
    """Start a process that reports on a pipe; `make_argv` receives the descriptor of its writing end."""
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
            raise LabError("the lab got no network of its own")  # nothing may reach the machine's network
        command(self.pid, "m", ["mount", "-t", "tmpfs", "-o", "mode=700", "lab", "/run"])

    @property
    def directory(self) -> Path:
        """The lab's own directory in memory, as a path outside; it disappears with the lab."""
        return Path(f"/proc/{self.pid}/root/run")

    def close(self) -> None:
        """End all processes of the lab and release their resources."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._process.wait(timeout=END_SECONDS)

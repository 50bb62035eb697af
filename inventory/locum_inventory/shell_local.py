"""The gate of the host this program runs on, run as a process; through `sudo -n` when not root."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal

from locum_inventory.gate_config import GATE_PATH
from locum_inventory.shell import GateStatus, ServiceStatus, ShellFault, Verb
from locum_inventory.shell_answer import ANSWER_LIMIT_BYTES, read_answer
from locum_inventory.shell_deadline import Deadline, within
from locum_inventory.shell_watch import Watch


class LocalShell:
    """A `Shell` on this machine."""

    def __init__(
        self, host: str, role: Literal["actuator", "exporter"], *, gate_path: Path = GATE_PATH
    ) -> None:
        self._host = host
        self._gate_path = gate_path
        self._command = [*([] if os.geteuid() == 0 else ["sudo", "-n", "--"]), str(gate_path), role]
        self._watch = Watch(host, lambda _deadline: _WatchProcess(self._start("watch")))

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Ask what is held and what runs."""
        return self._ask(deadline_seconds, "status")

    def change(self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float) -> ServiceStatus:
        """Carry out one verb and return how things are afterwards."""
        status = self._ask(deadline_seconds, verb, service, str(epoch))
        if service not in status.services:
            raise ShellFault("gate", f"{self._host}: the gate's answer leaves {service} out")
        return status.services[service]

    def look(self, *, deadline_seconds: float) -> Mapping[str, int]:
        """Count the live processes of every service, over the kept `watch`."""
        return self._watch.look(Deadline(deadline_seconds))

    def close(self) -> None:
        """End the kept `watch`."""
        self._watch.close()

    def _ask(self, deadline_seconds: float, *words: str) -> GateStatus:
        def run() -> tuple[bytes, bytes]:
            # Past its deadline the gate is left to finish what it does: a release broken off helps nobody.
            with self._start(*words) as process:
                return process.communicate()

        late_text = f"{self._host}: the gate did not finish {words[0]} within {deadline_seconds:g} s"
        answer, complaint = within(Deadline(deadline_seconds), late_text, run)
        return read_answer(
            answer[:ANSWER_LIMIT_BYTES].decode("utf-8", "replace"),
            complaint.decode("utf-8", "replace"),
            self._host,
        )

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        if not self._gate_path.exists():
            raise ShellFault(
                "gate", f"{self._host}: {self._gate_path} is missing: run `locum enrol {self._host}`"
            )
        try:
            # A session of its own, so that Ctrl-C in a terminal does not break a release off half-way.
            return subprocess.Popen(
                [*self._command, *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise ShellFault("gate", f"{self._host}: the gate cannot be run: {error.strerror}") from None


class _WatchProcess:
    """A gate that watches, over pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of it; a line is far smaller than a pipe, so this does not block."""
        try:
            _pipe(self._process.stdin).write(data)
        except OSError:
            raise ShellFault("closed", "the gate's watch ended") from None

    def receive(self, deadline: Deadline) -> bytes:
        """Return what came."""
        output = _pipe(self._process.stdout)
        poll = select.poll()
        poll.register(output, select.POLLIN)
        if not poll.poll(deadline.left_seconds * 1000):
            raise ShellFault("timeout", "the gate did not answer a look in time")
        return os.read(output.fileno(), 65536)

    def complaint(self) -> str:
        """Return what it said before it ended."""
        return os.read(_pipe(self._process.stderr).fileno(), 4096).decode("utf-8", "replace")

    def is_suspect(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Close its input, at which it ends."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            _pipe(pipe).close()
        # Reaped beside us: the end of its input ends it, and root's process could not be killed from here anyway.
        threading.Thread(target=self._process.wait, name="locum-reap", daemon=True).start()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise TypeError("the process was started without this pipe")
    return pipe

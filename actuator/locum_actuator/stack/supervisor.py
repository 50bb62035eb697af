"""Restart child processes when they die, and make sure that none outlives this process."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from locum_actuator.stack.child_log import ChildLog
from locum_inventory.inherited_sockets import NAMED

_TRIM_EVERY_SECONDS = 5.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 15.0
_LONG_LIFE_SECONDS = 30.0  # a program that ran for that long is restarted at once
_AFTER_KILL_SECONDS = 2.0

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 38, 47  # prctl(2)
_PR_CAP_AMBIENT_LOWER, _LAST_CAPABILITY = 3, 63
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13  # capabilities(7)
_libc = ctypes.CDLL(None, use_errno=True)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A command line, and how long the program may take to stop."""

    name: str  # also the name of its log
    command: tuple[str, ...]
    stop_seconds: float = 5.0
    capabilities: frozenset[int] = frozenset(
        {CAP_NET_ADMIN, CAP_NET_RAW}
    )  # the most that it inherits from us
    may_use_sudo: bool = True
    sockets: tuple[socket.socket, ...] = ()  # that we keep open for it while it is not running


def _before(program: Program, parent: int) -> Callable[[], None]:
    """Return the child's function before exec: it makes the child die with its parent and drops privileges.

    The signal is SIGKILL, because after the parent's death nothing could follow up a milder one. If the parent died
    before the prctl call, no signal would come, so the child exits. The capabilities are ambient: what is removed
    from that set is lost at exec (for a user other than root). With no_new_privs a setuid program such as sudo
    grants none.
    """

    def before_exec() -> None:
        if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(127)
        for capability in range(_LAST_CAPABILITY + 1):
            if capability not in program.capabilities:
                _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_LOWER, capability, 0, 0)
        if not program.may_use_sudo and _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            os._exit(127)

    return before_exec


class Child:
    """One program that is kept running."""

    def __init__(self, program: Program, log: ChildLog, say: Say) -> None:
        self.program = program
        self.log = log
        self.ends = 0  # how often it has ended without being stopped
        self.last_end = ""
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._keeping = asyncio.create_task(self._keep_running(), name=f"keep {program.name}")

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def _keep_running(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            born = time.monotonic()
            how = await self._run_once()
            if time.monotonic() - born >= _LONG_LIFE_SECONDS:
                pause_seconds = _FIRST_PAUSE_SECONDS
            words = self.log.last_words()
            self.last_end = f"{how}: {words}" if words else how
            self.ends += 1
            self._say(f"{self.program.name} {self.last_end}; restarting it in {pause_seconds:g} s")
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> str:
        # PDEATHSIG follows the thread that forked, not the process: only the main thread lives to the end.
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children are started from the main thread only")
        descriptor = self.log.open()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                pass_fds=[sock.fileno() for sock in self.program.sockets],
                env=_environment(self.program),
                start_new_session=True,  # Ctrl-C at a terminal reaches only us: we stop the children in order
                preexec_fn=_before(self.program, os.getpid()),
            )
        except (OSError, subprocess.SubprocessError) as fault:
            return f"could not be started ({fault})"
        finally:
            os.close(descriptor)
        return _how(await self._process.wait())

    def hang_up(self) -> None:
        """Send SIGHUP, so that the program reads its configuration again."""
        self._send(signal.SIGHUP)

    def _send(self, number: signal.Signals) -> None:
        # Only to the process, never to its group: a service that the actuator started must keep running.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self) -> None:
        """Stop the program with SIGTERM, then SIGKILL. Returns within `stop_seconds` plus two seconds."""
        self._keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeping
        if self._process is None or self._process.returncode is not None:
            return
        self._send(signal.SIGTERM)
        if not await self._ended_within(self.program.stop_seconds):
            self._say(f"{self.program.name} did not end within {self.program.stop_seconds:g} s: killed")
            self._send(signal.SIGKILL)
            await self._ended_within(_AFTER_KILL_SECONDS)

    async def _ended_within(self, seconds: float) -> bool:
        if self._process is None:
            return True
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _environment(program: Program) -> dict[str, str]:
    named = ",".join(str(sock.fileno()) for sock in program.sockets)
    return {**os.environ, **({NAMED: named} if named else {})}


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Supervisor:
    """The children of this process, in the order in which they were started."""

    def __init__(self, log_directory: Path, say: Say) -> None:
        self.children: dict[str, Child] = {}
        self._log_directory = log_directory
        self._say = say
        self._trimming: asyncio.Task[None] | None = None

    def start(self, program: Program) -> Child:
        """Start a program and keep it running. Must be called on the main thread, inside a running event loop."""
        log = ChildLog(self._log_directory / f"{program.name}.log")
        self.children[program.name] = child = Child(program, log, self._say)
        if self._trimming is None:
            self._trimming = asyncio.create_task(self._trim_for_ever(), name="trim logs")
        return child

    async def _trim_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_EVERY_SECONDS)
            for child in self.children.values():
                child.log.trim()

    def hang_up(self) -> None:
        """Send every child SIGHUP."""
        for child in self.children.values():
            child.hang_up()

    async def stop(self) -> None:
        """Stop all children in reverse order of starting. Each has its own deadline."""
        for child in reversed(self.children.values()):
            await child.stop()
        if self._trimming is not None:
            self._trimming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._trimming

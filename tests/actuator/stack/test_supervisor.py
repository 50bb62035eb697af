"""Children that are started again, end in order, and never outlive their parent. All of them real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from locum_actuator.stack.child_log import ChildLog
from locum_actuator.stack.supervisor import Child, Program, Supervisor
from tests.support.polling import wait_for
from tests.support.processes import alive

pytestmark = pytest.mark.integration

FOR_EVER = ("sleep", "1000")
DEAF = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait in another thread, so that the supervisor goes on in this one."""
    await asyncio.to_thread(wait_for, condition, what)


def _is_known(child: Child) -> bool:
    return child.pid is not None


async def _is_ready(child: Child) -> None:
    """Wait until a child says so, and the supervisor has its process: one that is stopped in between is killed."""
    await until(partial(_says, child, "ready"), "it is ready")
    await until(partial(_is_known, child), "the supervisor has its process")


def _says(child: Child, words: str) -> bool:
    return child.log.last_words() == words


ENDS = {
    "an exit code and last words": (
        ("sh", "-c", "echo one; echo two >&2; exit 3"),
        "ended with exit code 3: two",
    ),
    "silence": (("true",), "ended with exit code 0"),
    "a signal": (("sh", "-c", "kill -9 $$"), "was ended by SIGKILL"),
    "no such program": (
        ("/nonexistent",),
        "could not be started ([Errno 2] No such file or directory: '/nonexistent')",
    ),
}


@pytest.mark.parametrize(("command", "said"), ENDS.values(), ids=ENDS)
async def test_a_child_that_ends_is_named_and_started_again(
    command: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    heard: list[str] = []
    supervisor = Supervisor(tmp_path, heard.append)
    child = supervisor.start(Program("it", command))
    await until(lambda: child.ends >= 2, "it has ended twice")
    await supervisor.stop()
    assert heard == [
        f"it {said}; restarting it in 0.25 s",
        f"it {said}; restarting it in 0.5 s",
    ]


async def test_a_killed_child_comes_back(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, lambda _: None)
    child = supervisor.start(Program("it", FOR_EVER))
    await until(lambda: child.pid is not None, "it runs")
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.pid not in {None, first}, "it runs again")
    second = child.pid
    await supervisor.stop()
    assert second is not None
    assert not alive(second)


async def test_the_last_started_ends_first(tmp_path: Path) -> None:
    order = tmp_path / "order"
    supervisor = Supervisor(tmp_path, lambda _: None)
    for name in ("one", "two", "three"):
        script = f"trap 'echo {name} >> {order}; exit' TERM; echo ready; while :; do sleep 0.02; done"
        child = supervisor.start(Program(name, ("sh", "-c", script)))
        await _is_ready(child)
    await supervisor.stop()
    assert order.read_text().split() == ["three", "two", "one"]


@pytest.mark.timed
async def test_a_deaf_child_is_killed_after_its_deadline(tmp_path: Path) -> None:
    heard: list[str] = []
    supervisor = Supervisor(tmp_path, heard.append)
    child = supervisor.start(Program("deaf", DEAF, stop_seconds=0.2))
    await _is_ready(child)
    pid = child.pid
    began = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - began < 1.5
    assert heard == ["deaf did not end within 0.2 s: killed"]
    assert pid is not None
    assert not alive(pid)


async def test_what_a_child_started_for_itself_lives_on(tmp_path: Path) -> None:
    """The actuator starts services: ending it must not end them."""
    supervisor = Supervisor(tmp_path, lambda _: None)
    child = supervisor.start(Program("it", ("sh", "-c", "sleep 1000 & echo $!; wait")))
    await until(child.log.last_words, "it says something")
    service = int(child.log.last_words())
    await supervisor.stop()
    assert alive(service)
    os.kill(service, signal.SIGKILL)


async def test_hang_up_reaches_every_child(tmp_path: Path) -> None:
    # A shell cannot trap a signal that was ignored when it began, and under nohup(1) this one is.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    supervisor = Supervisor(tmp_path, lambda _: None)
    script = "trap 'echo reloaded' HUP; echo ready; while :; do sleep 0.02; done"
    children = [supervisor.start(Program(name, ("sh", "-c", script))) for name in ("one", "two")]
    for child in children:
        await _is_ready(child)
    supervisor.hang_up()
    for child in children:
        await until(partial(_says, child, "reloaded"), "it has reloaded")
    await supervisor.stop()
    signal.signal(signal.SIGHUP, before)


def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import asyncio, pathlib
            from locum_actuator.stack.supervisor import Program, Supervisor
            async def main():
                supervisor = Supervisor(pathlib.Path({str(tmp_path)!r}), print)
                deaf = supervisor.start(Program("deaf", {DEAF!r}))
                while deaf.log.last_words() != "ready":
                    await asyncio.sleep(0.01)
                print(deaf.pid, flush=True)
                await asyncio.sleep(1000)
            asyncio.run(main())
            """
        )
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    wait_for(lambda: not alive(child), "the child has ended", 5)


def test_a_log_that_grows_too_long_is_moved_aside_and_written_on(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "it.log", limit_bytes=100)
    descriptor = log.open()
    os.write(descriptor, b"x" * 150 + b"\nold\n")
    log.trim()
    os.write(descriptor, b"new\n")
    os.close(descriptor)
    assert log.path.read_text() == "new\n"
    assert (tmp_path / "it.log.1").read_text().endswith("old\n")
    assert log.last_words() == "new"
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_last_words_are_those_of_the_child_at_hand(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "it.log")
    log.path.write_text("words of the child before\n")
    os.close(log.open())
    assert log.last_words() == ""


# A program that answers on the socket that it inherits, once, and dies.
ANSWERS = """
import os, socket
from locum_inventory.inherited_sockets import inherited_sockets
((where, sock),) = inherited_sockets().items()
assert not sock.get_inheritable() and "LOCUM_LISTEN_FDS" not in os.environ
accepted, _ = sock.accept()
accepted.sendall(f"{where[1]} {os.getpid()}".encode())
"""


async def test_e3_a_port_is_held_while_its_program_is_restarted(tmp_path: Path) -> None:
    """No other user can listen there meanwhile, and a client that connects is answered by the next one."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        where = held.getsockname()
        supervisor = Supervisor(tmp_path, lambda _: None)
        child = supervisor.start(Program("it", (sys.executable, "-c", ANSWERS), sockets=(held,)))
        answers = []
        for times in (1, 2):
            reader, writer = await asyncio.open_connection(*where)
            answers.append((await reader.read()).decode().split())
            writer.close()
            await writer.wait_closed()
            with pytest.raises(OSError, match="in use"):
                socket.create_server(where, reuse_port=False)
            await until(lambda times=times: child.ends >= times, "it has ended")  # type: ignore[misc]
        await supervisor.stop()
    assert {port for port, _ in answers} == {str(where[1])}
    assert len({pid for _, pid in answers}) == 2


def test_e3_systemd_hands_its_sockets_over(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.environ['LISTEN_FDS'] = '1'\n"
        "from locum_inventory.inherited_sockets import inherited_sockets\n"
        "print(*inherited_sockets(), 'LISTEN_FDS' in os.environ)"
    )
    with socket.create_server(("127.0.0.1", 0)) as held:
        command = ["bash", "-c", f'exec "$0" -c "$1" 3<&{held.fileno()}', sys.executable, code]
        done = subprocess.run(command, pass_fds=[held.fileno()], capture_output=True, text=True, check=True)
        assert done.stdout == f"{held.getsockname()} False\n"

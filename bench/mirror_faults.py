"""The faults of a mirror run: processes that are killed, a cut line, a full disk, a source that changes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from bench.mirror_draws import NAMES, Change, Trial
from bench.mirror_hosts import MirrorHosts
from locum_actuator.domain.mirror_run import MirrorResult

DISK_BYTES = 6_000_000
QUIET_SECONDS = 20.0  # for what a kill left behind to end


def apply_change(tree: Path, change: Change) -> None:
    """Change the source as a program would, which replaces a file by another one."""
    path = tree / change.name
    with suppress(OSError):
        if change.kind == "delete":
            path.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(".new")
        if change.kind == "symlink":
            new.symlink_to("index.html" if change.salt else "/nowhere")
        elif change.kind == "twin":
            if (tree / "index.html").is_symlink():
                return  # rsync does not keep the time of symbolic links with two names
            new.hardlink_to(tree / "index.html")
        else:
            new.write_bytes(random.Random(change.salt).randbytes(change.size))
        new.rename(path)


def run_with_fault(hosts: MirrorHosts, trial: Trial) -> MirrorResult:
    """Let a run go wrong; return what came of it."""
    box: list[MirrorResult] = []
    thread = threading.Thread(target=lambda: box.append(hosts.run()))
    before = _state(hosts)
    with _WORLDS[trial.fault](hosts) if trial.fault in _WORLDS else nullcontext():
        thread.start()
        ended = threading.Event()
        if trial.fault == "source changes":
            threading.Thread(target=_go_on_changing, args=(hosts.tree("a"), thread, ended)).start()
        else:
            ended.set()
            while trial.from_first_write and _state(hosts) == before and thread.is_alive():
                time.sleep(0.005)
            time.sleep(trial.after_seconds)
            _FAULTS.get(trial.fault, _nothing)(hosts)
        thread.join(60)
        assert not thread.is_alive(), "the run did not end"
        ended.wait(5)
    return box[0]


def _go_on_changing(tree: Path, run: threading.Thread, ended: threading.Event) -> None:
    number = 0
    while run.is_alive():
        number += 1
        apply_change(
            tree,
            Change(NAMES[number % len(NAMES)], ("write", "delete", "symlink")[number % 3], 5000, number % 4),
        )
        time.sleep(0.005)
    ended.set()


def _state(hosts: MirrorHosts) -> str:
    """Return what b has written down of its copy; it does so before it writes anything else."""
    path = hosts.gates["b"].state / "mirror" / "www.1.state"
    return path.read_text() if path.exists() else ""


def _processes(hosts: MirrorHosts, host: str) -> Iterator[tuple[int, str]]:
    """Yield those that work for a host's end of a run: its gate by name, rsync by the directory it stands in.

    The destination's rsync is in a mount namespace of its own: it is known by the lock that it has open.
    """
    disk, gate = str(hosts.base / host) + "/", str(hosts.gates[host].gate)
    lock = hosts.gates[host].run_directory / "www.mirror"
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if gate in words:
                yield int(directory.name), "gate"
            elif str((directory / "cwd").readlink()).startswith(disk) or _has_open(directory, lock):
                yield int(directory.name), words[0]


def _has_open(process: Path, lock: Path) -> bool:
    with suppress(OSError):
        return (process / "fd" / "8").samefile(lock)
    return False


def _kill(host: str, *names: str) -> Callable[[MirrorHosts], None]:
    def kill(hosts: MirrorHosts) -> None:
        for pid, name in list(_processes(hosts, host)):
            if not names or name in names:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    return kill


def _nothing(_hosts: MirrorHosts) -> None:
    """Let it go on."""


_FAULTS: dict[str, Callable[[MirrorHosts], None]] = {
    "kill source": _kill("a"),
    "kill destination": _kill("b"),
    "kill its gate": _kill("b", "gate"),
    "kill its rsync": _kill("b", "rsync"),
    "cut": lambda hosts: hosts.mirrors.cancel_all("cut"),
}


def wait_until_quiet(hosts: MirrorHosts) -> None:
    """Wait until nothing that a kill left behind still writes."""
    end_by = time.monotonic() + QUIET_SECONDS
    while any(True for _ in _processes(hosts, "b")):
        assert time.monotonic() < end_by, list(_processes(hosts, "b"))
        time.sleep(0.02)


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Give a host a small disk of its own."""
    directory.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "locum-mirror", directory], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


@contextmanager
def _full_disk(hosts: MirrorHosts) -> Iterator[None]:
    """Leave a few pages of b's disk."""
    ballast = hosts.base / "b" / "ballast"
    free = os.statvfs(hosts.base / "b")
    ballast.write_bytes(b"\0" * max(0, free.f_bavail * free.f_frsize - 40_000))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def _unmounted(hosts: MirrorHosts) -> Iterator[None]:
    """Leave an empty directory where the source was, as what is not mounted does."""
    tree = hosts.tree("a")
    tree.rename(tree.with_name("away"))
    tree.mkdir()
    try:
        yield
    finally:
        tree.rmdir()
        tree.with_name("away").rename(tree)


_WORLDS = {"disk full": _full_disk, "not mounted": _unmounted}  # faults that are there before the run begins

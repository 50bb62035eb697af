"""Process 1 of a host: mounts its disk, starts its services at boot, reaps children.

It reads two lines on its standard input: first its configuration as JSON, then, when its network is ready, `boot`.
It writes lines to REPORT_FD: its process id on the machine, `mounted` after the part of the boot that precedes the
network, then `booted`; or `fault: …`.

Usage: init.py REPORT_FD
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# mount(2), umount2(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MNT_DETACH = 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SERVICE_SECONDS = 20  # after this time a service counts as failed
# Started before the network at a boot without systemd; the other scripts there are for real hardware.
EARLY_SCRIPT = "/etc/rcS.d/S01locum-guard"

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount, or raise OSError naming the target."""
    words = (source.encode(), target.encode(), kind.encode())
    if _libc.mount(*words, ctypes.c_ulong(flags), options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def pivot(root: str) -> None:
    """Make `root` the root of this mount namespace and detach the old one."""
    os.chdir(root)
    if _libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b".") != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), root)
    # The old root is mounted on top of the new one: see the notes of pivot_root(2).
    if _libc.umount2(b".", MNT_DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "old root")
    os.chdir("/")


def mount_disk(disk: str, shown: Sequence[str]) -> bool:
    """Mount the host's own file system over the machine's and enter it; return whether the disk is new."""
    new = not Path(disk).exists()
    for part in ("upper", "work", "root", "log"):
        Path(disk, part).mkdir(parents=True, exist_ok=True)
    root = f"{disk}/root"
    mount("disk", root, "overlay", 0, f"lowerdir=/,upperdir={disk}/upper,workdir={disk}/work")
    mount("/dev", f"{root}/dev", flags=MS_BIND | MS_REC)
    mount("shm", f"{root}/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    mount("run", f"{root}/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    mount("tmp", f"{root}/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    Path(root, "var/log").mkdir(parents=True, exist_ok=True)  # /var may be a separate file system
    mount(f"{disk}/log", f"{root}/var/log", flags=MS_BIND)
    for path in shown:  # an overlay covers one file system only: directories on others are bound into it
        Path(root + path).mkdir(parents=True, exist_ok=True)
        mount(path, root + path, flags=MS_BIND | MS_REC)
        mount(path, root + path, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
    pivot(root)
    for name, mode in (("sshd", 0o755), ("lock", 0o1777), ("apache2", 0o755)):
        Path("/run", name).mkdir(exist_ok=True)
        Path("/run", name).chmod(mode)
    Path("/var/log/apache2").mkdir(exist_ok=True)
    return new


def write_files(absent: Sequence[str], files: Sequence[Mapping[str, Any]]) -> None:
    """Create the files that distinguish hosts from each other. A file without text is a directory."""
    for name in absent:
        path = Path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for file in files:
        path = Path(file["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        if file["text"] is None:
            path.mkdir(exist_ok=True)
        else:
            path.unlink(missing_ok=True)  # never write through a link of the machine
            path.touch(mode=0o600)
            path.write_text(file["text"], encoding="utf-8")
        path.chmod(file["mode"])


def start_services(services: Sequence[Sequence[str]]) -> str:
    """Start each program; return the error, empty if there is none."""
    for argv in services:
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SERVICE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            return f"{argv[0]}: {fault}"
        if done.returncode != 0:
            said = " ".join((done.stdout + done.stderr).split())
            return f"{' '.join(argv)} ended with {done.returncode}: {said}"
    return ""


def reap_for_ever() -> None:
    """Reap every child that ends, own or orphaned; never return."""
    while True:
        signal.sigwait({signal.SIGCHLD})
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            pass


def main() -> None:
    """Boot, then reap."""
    report_fd = int(sys.argv[1])
    os.set_inheritable(report_fd, False)
    os.write(report_fd, bytes(Path("/proc/self").readlink()) + b"\n")  # /proc is still the machine's
    settings = json.loads(sys.stdin.readline())
    socket.sethostname(settings["name"])
    new = mount_disk(settings["disk"], settings["shown"]) if settings["disk"] else False
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    if new:
        write_files(settings["absent"], settings["files"])
    early = [EARLY_SCRIPT, "start"] if settings["disk"] and Path(EARLY_SCRIPT).exists() else []
    fault = start_services([early] if early else [])
    os.write(report_fd, f"fault: {fault}\n".encode() if fault else b"mounted\n")
    if sys.stdin.readline() != "boot\n":
        return  # the process that creates the lab has ended
    fault = start_services(settings["services"])
    os.write(report_fd, f"fault: {fault}\n".encode() if fault else b"booted\n")
    os.close(report_fd)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    reap_for_ever()


if __name__ == "__main__":
    main()

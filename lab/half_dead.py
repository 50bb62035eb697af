"""Half-dead hosts: they answer ping, but something else does not work.

`repair` undoes the verbs of this module; the service, wires and power have their own verbs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from lab.faults import Faults
from lab.host import Host
from lab.needs import LabError

GATE_FILE = "/etc/locum/gate.conf"
GATE_STATE = "/var/lib/locum-gate"
VOLATILE = ("/run", "/tmp")
SMALL_KILOBYTES = 64
GROUPS = Path("/sys/fs/cgroup")

# Mounts a small, full file system over a directory, with a copy of the directory's content.
_FILL = """
set -e
mkdir -p "$1"
mkdir /run/lab-kept && cp -a "$1/." /run/lab-kept
mount -t tmpfs -o "size=$2k,mode=755" lab-full "$1"
cp -a /run/lab-kept/. "$1" && rm -r /run/lab-kept
cat /dev/zero >"$1/lab-filler" 2>/dev/null || :
"""
# Shrinks a tmpfs to its used size, to within a page.
_SHRINK = """
set -e
used=$(df --output=used -k "$1" | tail -n 1)
mount -o "remount,size=$((used + $2))k" "$1"
cat /dev/zero >"$1/lab-filler" 2>/dev/null || :
"""


class HalfDead(Faults):
    """The verbs."""

    _starved: list[tuple[int, str, int]]  # processes that cannot open files: process id, user, former limit

    def stop_sshd(self, name: str) -> float:
        """Kill sshd and its sessions: port 22 refuses connections, everything else works."""
        moment = time.time()
        # The listener first, because it would start new sessions.
        while self._signal_all(self.host(name), "sshd", signal.SIGKILL):
            time.sleep(0.001)
        return moment

    def freeze_sshd(self, name: str) -> float:
        """Stop sshd and its sessions: the kernel accepts connections, and nothing is sent on them."""
        moment = time.time()
        if not self._signal_all(self.host(name), "sshd", signal.SIGSTOP):
            raise LabError(f"{name}: no sshd runs there")
        return moment

    def hang_gate(self, name: str) -> float:
        """Make the gate hang when it reads its host file, as on a hanging file system.

        The file becomes a FIFO without a writer: logins work, and each command hangs. A running `watch` is ended,
        because it would continue with the file that it has read.
        """
        host, moment = self.host(name), time.time()
        host.run(["sh", "-c", 'mv "$1" "$1.kept" && mkfifo -m 644 "$1"', "sh", GATE_FILE])
        self._signal_all(host, "gate", signal.SIGKILL)
        return moment

    def fill_disk(self, name: str) -> float:
        """Fill the file systems of the gate's epochs, /run and /tmp."""
        host, moment = self.host(name), time.time()
        host.run(["sh", "-c", _FILL, "sh", GATE_STATE, str(SMALL_KILOBYTES)])
        for place in VOLATILE:
            host.run(["sh", "-c", _SHRINK, "sh", place, str(SMALL_KILOBYTES)])
        return moment

    def read_only_disk(self, name: str) -> float:
        """Make the disk read-only, as when the kernel has remounted it after an error."""
        host, moment = self.host(name), time.time()
        host.run(["mount", "-o", "remount,ro,bind", "/"])
        return moment

    def no_more_processes(self, name: str) -> float:
        """Prevent the host from starting processes (pids.max of a control group); running ones continue."""
        host, moment = self.host(name), time.time()
        group = self._group(host)
        group.mkdir(exist_ok=True)
        for _ in range(2):  # again: one may have forked meanwhile
            for pid, _name, _state in list(host.processes()):
                with contextlib.suppress(ProcessLookupError):
                    (group / "cgroup.procs").write_text(str(pid))
        (group / "pids.max").write_text("1")  # fewer than there are, so that every fork fails
        return moment

    def no_more_processes_of(self, name: str, user: str) -> float:
        """Prevent a user of the host from having any process (RLIMIT_NPROC, set by PAM at login)."""
        host, moment = self.host(name), time.time()
        (host.root / "etc/security/limits.d/lab.conf").write_text(f"{user} - nproc 0\n", encoding="ascii")
        self._signal_all(host, "sshd", signal.SIGKILL, children_only=True)  # existing sessions
        return moment

    def no_more_files(self, name: str, program: str, user: str) -> float:
        """Prevent processes of a user with `program` in the command line from opening files and sockets."""
        host, moment, found = self.host(name), time.time(), False
        for pid, _, state in host.processes():
            if state not in "ZX" and program in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
                self._starved.append((pid, user, _soft_limit(pid)))
                self._limit_files(host, pid, user, _lowest_free(pid))
                found = True
        if not found:
            raise LabError(f"{name}: no {program} runs there")
        return moment

    def repair(self, name: str) -> float:
        """Undo the verbs of this module on a host; sshd runs again."""
        host, moment = self.host(name), time.time()
        if not host.up:
            return moment
        group = self._group(host)
        if group.is_dir():
            (group / "pids.max").write_text("max")
        while self._starved:
            self._limit_files(host, *self._starved.pop())
        self._signal_all(host, "sshd", signal.SIGCONT)
        host.run(["mount", "-o", "remount,rw,bind", "/"])
        host.run(["umount", "-q", GATE_STATE], check=False)
        for place in VOLATILE:
            host.run(["sh", "-c", 'rm -f "$1/lab-filler"; mount -o remount,size=50% "$1"', "sh", place])
        host.run(["sh", "-c", '[ ! -p "$1" ] || mv -f "$1.kept" "$1"', "sh", GATE_FILE])
        (host.root / "etc/security/limits.d/lab.conf").unlink(missing_ok=True)
        if not any(command == "sshd" and state not in "ZX" for _, command, state in host.processes()):
            self._start_sshd(host)
        return moment

    @staticmethod
    def _limit_files(host: Host, pid: int, user: str, files: int) -> None:
        """Set the limit of open files of a process, as its own user: root needs a capability (prlimit(2))."""
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            (line,) = [line for line in status.splitlines() if line.startswith("NSpid:")]
            inside = line.split()[-1]
            host.run(["prlimit", f"--pid={inside}", f"--nofile={files}:"], user=user)

    def _start_sshd(self, host: Host) -> None:
        for argv in host.boot_services:
            if argv[0].endswith("/sshd"):
                host.run(argv)
                host.wait_listening(22, 10)

    @staticmethod
    def _group(host: Host) -> Path:
        """Return the control group of a host's processes, of either version of cgroups(7)."""
        base = GROUPS / "pids"
        if not base.is_dir():
            base = GROUPS
            if "pids" not in (base / "cgroup.subtree_control").read_text(encoding="ascii").split():
                raise LabError(f"{base}: there is no pids controller")
        return base / f"lab-{host.running_pid}"

    @staticmethod
    def _signal_all(host: Host, command: str, number: int, *, children_only: bool = False) -> int:
        """Signal all live processes of a command, parents first; return their number."""
        pids = {pid for pid, its, state in host.processes() if its == command and state not in "ZX"}
        children = {pid for pid in pids if _parent(pid) in pids}
        for pid in [*(() if children_only else pids - children), *children]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(pids)


def _parent(pid: int) -> int | None:
    """Return a process's parent; None if it has ended meanwhile."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("PPid:"):
                return int(line.split()[1])
    return None


def _soft_limit(pid: int) -> int:
    """Return the limit of open files of a process."""
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    return int(line.split()[3])


def _lowest_free(pid: int) -> int:
    """Return the lowest unused descriptor number of a process, because the limit is on numbers (getrlimit(2))."""
    used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(used) + 1) if number not in used)

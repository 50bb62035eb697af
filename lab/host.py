"""A host of the lab: namespaces, a disk, a network card. It can be booted, lose its power, and be rebooted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from lab.namespaces import INSIDE, PYTHON, Anchor, Inside, command, enter, start
from lab.needs import ENVIRONMENT, LabError
from lab.plan import CARD, NETWORK, NETWORK6, PLACES, Address, InterfaceAddress, Place
from lab.provision import ABSENT, File
from lab.switch import Switch

BOOT_SECONDS = 30.0
CHECKOUT = Path(__file__).resolve().parent.parent
_LISTENING = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it


class Host:
    """One host. Its processes end with it; its disk lasts as long as the lab."""

    def __init__(
        self,
        place: Place,
        anchor: Anchor,
        switch: Switch,
        files: Sequence[File],
        services: Sequence[Sequence[str]],
        *,
        ip_versions: Sequence[int] = (4, 6),
    ) -> None:
        self.name = place.name
        self.mac = place.mac
        self.pid: int | None = None  # machine's process id of the host's process 1; None while it is off
        self.boot_services = [list(argv) for argv in services]
        self.boot_addresses: list[
            InterfaceAddress
        ] = []  # in addition to its own: service addresses in its boot configuration
        self._place = place
        self._ip_versions = ip_versions  # of its own addresses
        self._anchor = anchor
        self._switch = switch
        self._files = files
        self._process: subprocess.Popen[bytes] | None = None
        self._inside: list[Inside] = []

    @property
    def address(self) -> Address:
        """The host's own address: the IPv4 one if it has one."""
        return self._place.address if 4 in self._ip_versions else self._place.address6

    @property
    def address6(self) -> IPv6Address:
        """The host's own IPv6 address."""
        return self._place.address6

    @property
    def up(self) -> bool:
        """Whether the host has power."""
        return self.pid is not None

    @property
    def running_pid(self) -> int:
        """Process 1 of the host. Raises `LabError` while it is off."""
        if self.pid is None:
            raise LabError(f"{self.name} is down: reboot it first")
        return self.pid

    @property
    def root(self) -> Path:
        """The host's root directory, seen from outside."""
        return Path(f"/proc/{self.running_pid}/root")

    def boot(self) -> None:
        """Give the host power and wait until its services have started."""
        if self.up:
            raise LabError(f"{self.name} is already up")
        init = [*PYTHON, str(INSIDE / "init.py")]
        unshare = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--propagation=private", *init]
        reporter = start(
            lambda writing: enter(self._anchor.pid, "mnp", [*unshare, str(writing)]), stdin=subprocess.PIPE
        )
        self._process = process = reporter.process
        assert process.stdin is not None
        try:
            self.pid = int(reporter.line(BOOT_SECONDS, f"{self.name}'s init"))
            process.stdin.write(json.dumps(self._described()).encode() + b"\n")
            process.stdin.flush()
            self._see("mounted", reporter.line(BOOT_SECONDS, f"{self.name}'s disk"))
            self._connect(self.pid)
            process.stdin.write(b"boot\n")
            process.stdin.flush()
            self._see("booted", reporter.line(BOOT_SECONDS, f"{self.name}'s boot"))
            for port in self._ports():
                self.wait_listening(port, BOOT_SECONDS)
        except BaseException:
            self.power_off()
            raise
        finally:
            reporter.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()

    def power_off(self) -> None:
        """Cut the power: first the link fails, then all processes are killed, then the namespaces end."""
        process, pid = self._process, self.pid
        if process is None:
            return
        if pid is not None:
            with contextlib.suppress(LabError):  # the port may not exist
                self._switch.set_carrier(self.name, on=False)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=BOOT_SECONDS)
        with contextlib.suppress(LabError):
            self._switch.unplug(self.name)
        self.forget()

    def forget(self) -> None:
        """Clean up after a host whose processes were all killed."""
        for process in (self._process, *self._inside):
            if process is not None:
                process.wait(timeout=BOOT_SECONDS)
        self.pid = self._process = None
        self._inside.clear()

    def popen(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, user: str | None = None,
        cwd: str = "/", stdin: Any = subprocess.DEVNULL, **options: Any,
    ) -> Inside:  # fmt: skip
        """Start a program in the host; it ends with the host. `options` are those of `subprocess.Popen`.

        `env` is added to a minimal environment: nothing is inherited from the caller. As with Popen, the program's
        output goes to the caller's unless `stdout` and `stderr` are given.
        """
        words = ["env", "-C", cwd, *self._become(user), *argv]
        inside = Inside(
            enter(self.running_pid, "mnup", words),
            env={**ENVIRONMENT, **(env or {})}, stdin=stdin, start_new_session=True, **options,
        )  # fmt: skip
        self._inside = [process for process in self._inside if process.poll() is None]
        self._inside.append(inside)
        return inside

    def run(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 30.0, input: str | None = None,  # noqa: A002
        user: str | None = None, env: Mapping[str, str] | None = None, cwd: str = "/",
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a program in the host and return its output; errors are those of `subprocess.run`."""
        pipe = subprocess.PIPE
        with self.popen(
            argv, env=env, user=user, cwd=cwd, stdin=pipe if input is not None else subprocess.DEVNULL,
            stdout=pipe, stderr=pipe, text=True,
        ) as inside:  # fmt: skip
            try:
                out, err = inside.communicate(input, timeout=timeout)
            except BaseException:
                inside.kill()
                raise
        done = subprocess.CompletedProcess[str](list(argv), inside.returncode, out, err)
        if check and done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, list(argv), out, err)
        return done

    def processes(self) -> Iterator[tuple[int, str, str]]:
        """List the host's processes: the machine's process id, name, state (proc(5): R, S, T, Z …)."""
        mine = Path(f"/proc/{self.running_pid}/ns/pid").readlink()
        for directory in Path("/proc").glob("[0-9]*"):
            # Skip processes that have ended meanwhile; one that root may not inspect is not part of the lab.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if (directory / "ns/pid").readlink() == mine:
                    stat = (directory / "stat").read_text(encoding="utf-8", errors="replace")
                    name, rest = stat[stat.index("(") + 1 :].rsplit(")", 1)
                    yield int(directory.name), name, rest.split()[0]

    def wake_entrances(self) -> None:
        """Resume each nsenter through which a program was started: it stops when the program is stopped."""
        for process in self._inside:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)

    def wait_listening(self, port: int, seconds: float) -> None:
        """Wait until something in the host listens on a TCP port; raise `LabError` if nothing does."""
        deadline = time.monotonic() + seconds
        while not self._listens(port):
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: nothing listens on port {port} after {seconds:g} s")
            time.sleep(0.005)

    def _listens(self, port: int) -> bool:
        for table in ("tcp", "tcp6"):
            with contextlib.suppress(FileNotFoundError):
                for line in Path(f"/proc/{self.running_pid}/net/{table}").read_text("ascii").splitlines()[1:]:
                    words = line.split()
                    if words[3] == _LISTENING and int(words[1].rsplit(":", 1)[1], 16) == port:
                        return True
        return False

    def _see(self, wanted: str, word: str) -> None:
        if word != wanted:
            raise LabError(f"{self.name}: {word}")

    def _ports(self) -> list[int]:
        programs = {argv[0].rsplit("/", 1)[-1] for argv in self.boot_services}
        return [port for program, port in (("sshd", 22), ("apachectl", 80)) if program in programs]

    def _described(self) -> dict[str, object]:
        return {
            "name": self.name,
            "disk": f"/run/{self.name}" if self._place.has_disk else None,
            "shown": _on_other_file_systems(),
            "absent": ABSENT,
            "files": [asdict(file) for file in self._files],
            "services": self.boot_services,
        }

    def _connect(self, pid: int) -> None:
        self._switch.plug(self._place, pid)
        lines = ["link set lo up"]
        ipv4 = 4 in self._ip_versions
        if self._place.number is not None:
            if ipv4:
                lines.append(f"address add {self._place.address}/{NETWORK.prefixlen} dev {CARD}")
            if Path("/proc/sys/net/ipv6").exists():
                lines.append(f"address add {self.address6}/{NETWORK6.prefixlen} dev {CARD} nodad")
        lines += [f"address add {address} dev {CARD}" for address in self.boot_addresses]
        lines.append(f"link set {CARD} up")
        if self._place.number is not None and self.name != "gw":
            gateway = PLACES["gw"].address if ipv4 else PLACES["gw"].address6
            lines.append(f"route add default via {gateway} dev {CARD}")
        command(pid, "n", ["ip", "-batch", "-"], text="\n".join(lines) + "\n")

    def _become(self, user: str | None) -> list[str]:
        if user is None:
            return []
        for line in (self.root / "etc/passwd").read_text("utf-8").splitlines():
            name, _, uid, gid, _, home, *_ = line.split(":")
            if name == user:
                ids = [f"--reuid={uid}", f"--regid={gid}", "--init-groups", "--inh-caps=-all"]
                return ["setpriv", *ids, "--", "env", f"HOME={home}", f"USER={user}"]
        raise LabError(f"{self.name} has no user {user}")


def _on_other_file_systems() -> list[str]:
    """Return the paths to bind into a host besides the machine's root: the project, its Python, a separate /usr."""
    wanted = [CHECKOUT, Path("/usr"), Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()]
    there = Path("/").stat().st_dev
    others = [path for path in wanted if path == CHECKOUT or path.stat().st_dev != there]
    return [
        str(path)
        for path in others
        if not any(path != other and path.is_relative_to(other) for other in others)
    ]

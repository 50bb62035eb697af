"""Hosts in a state that takes mirror runs to reach: made once in a test process, and copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.mirror_hosts import MirrorHosts
from locum_actuator.journal.journal import Journal
from locum_actuator.mirror.manager import MirrorManager
from tests.support.polling import wait_for

TICK_SECONDS = 0.02  # longer than one of the kernel: what changes after it has a later time of change


class PreparedHosts:
    """Two hosts as `make` leaves them. A run is some two hundred processes; to copy them takes a few."""

    def __init__(self, make: Callable[[Path], MirrorHosts]) -> None:
        # The name is that of each copy: the gates and the site file have it in them.
        self._base = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="locum-mirror-"))
        self._base.chmod(0o755)
        self._original = self._base.with_name(f"{self._base.name}.original")
        self._made = make(self._base)
        self._made.close()
        self._base.rename(self._original)

    @contextmanager
    def copied(self) -> Iterator[MirrorHosts]:
        """Yield a copy: its directories count as marked, and as unchanged since the last run."""
        subprocess.run(["cp", "-a", "--", self._original, self._base], check=True)
        results = list(self._made.results)
        journal = Journal(self._base / "journal.sqlite")
        mirrors = MirrorManager(self._made.mirrors.site, journal, self._made.mirrors.lines, results.append)
        hosts = MirrorHosts(self._base, self._made.site, journal, mirrors, self._made.gates, results)
        try:
            for host in hosts.gates:
                _mark_again(hosts, host)
                _note_moments_again(hosts.gates[host].state / "mirror")
            time.sleep(TICK_SECONDS)
            yield hosts
        finally:
            hosts.close()
            wait_for(self._is_removed, f"{self._base} is removed")

    def _is_removed(self) -> bool:
        """Remove the copy, unless what an ended run has killed still writes to it."""
        shutil.rmtree(self._base, ignore_errors=True)
        return not self._base.exists()

    def remove(self) -> None:
        """Remove the original."""
        shutil.rmtree(self._original)


def _mark_again(hosts: MirrorHosts, host: str) -> None:
    """Mark the copied directories: a mark has the inode and the time of birth of the original."""
    for mark in (hosts.gates[host].state / "mirror").glob("www.*.mark"):
        hosts.mark(host, int(mark.name.split(".")[1]))


def _note_moments_again(state: Path) -> None:
    """Move all moments of a host to now, in their order: every file of a copy was changed when it was copied."""
    moments = [path for kind in ("sent", "received", "broken") for path in state.glob(f"*.{kind}")]
    moments.sort(key=lambda path: path.stat().st_mtime_ns)
    now = time.time_ns()
    for number, path in enumerate(moments):
        os.utime(path, ns=(now, now + number))

"""Faults of locum's own surroundings: its disk, its clock, the exporters of other hosts, a hostile local user."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.campaign.system import processes_of
from lab.clock import Clock
from lab.lab import Lab
from lab.locum import ALERTMANAGER, HOME, POWERLESS, STATE, Locum
from lab.namespaces import PYTHON, Inside

LOCAL_USER = Path(__file__).parents[1] / "inside" / "local_user.py"
DRIPPED = ("http:10752", "http:10753")  # the sockets of the page and of the webhook
DRIPPING = "150"  # connections to each
_EXPORTER = b"locum-exporter"


class Surroundings:
    """Brings these faults and takes them away. `pids` names the processes of a part of the chain on b."""

    def __init__(
        self, lab: Lab, locum: Locum, clock: Clock | None, pids: Callable[[str], Sequence[int]]
    ) -> None:
        self._lab = lab
        self._locum = locum
        self._clock = clock
        self._pids = pids
        self._straces: list[subprocess.Popen[bytes]] = []
        self._drip: Inside | None = None
        self._silence = ""  # its ID

    def bring(self, how: str, detail: Mapping[str, Any]) -> str | None:
        """Bring one; return in words why it did not take hold, None where it did."""
        return getattr(self, f"_bring_{how}")(detail)  # type: ignore[no-any-return]

    def heal(self, how: str) -> str | None:
        """Take it away again."""
        return getattr(self, f"_heal_{how}")()  # type: ignore[no-any-return]

    # The disk: each fsync of the actuator takes so much longer, or every write of its journal is refused (its
    # sockets are not written with pwrite64)

    def _bring_slow_disk(self, detail: Mapping[str, Any]) -> str | None:
        return self._inject("fsync,fdatasync", f"delay_enter={detail['milliseconds'] * 1000}")

    def _bring_disk_refuses(self, detail: Mapping[str, Any]) -> str | None:
        return self._inject("pwrite64,ftruncate,fsync,fdatasync", f"error={detail['error']}")

    def _inject(self, calls: str, how: str) -> str | None:
        pids = self._pids("actuator")
        if not pids:
            return "did nothing: no actuator runs"
        self._straces = [
            subprocess.Popen(
                ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:{how}",
                 "-p", str(pid)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for pid in pids
        ]  # fmt: skip
        return None

    def _heal_slow_disk(self) -> None:
        for strace in self._straces:
            strace.terminate()  # it lets go of the processes before it ends
            with suppress(subprocess.TimeoutExpired):
                strace.wait(5)
        self._straces = []

    _heal_disk_refuses = _heal_slow_disk

    # The clock of b

    def _bring_clock_step(self, detail: Mapping[str, Any]) -> str | None:
        if self._clock is None:
            return "did nothing: locum was not started under a clock that can be set"
        self._clock.jump(detail["seconds"])
        return None

    def _heal_clock_step(self) -> None:
        if self._clock is not None:
            self._clock.jump(0)

    # The exporter on c

    def _bring_exporter_gone(self, _: Mapping[str, Any]) -> str | None:
        return None if self._kill_exporter() else "did nothing: no exporter runs on c"

    def _heal_exporter_gone(self) -> None:
        if "c" in self._lab.hosts:
            self._locum.launch_exporter("c")

    def _bring_exporter_without_rights(self, _: Mapping[str, Any]) -> str | None:
        if not self._kill_exporter():
            return "did nothing: no exporter runs on c"
        self._locum.launch_exporter("c", may_ping=False)
        return None

    def _heal_exporter_without_rights(self) -> None:
        self._kill_exporter()
        self._heal_exporter_gone()

    def _kill_exporter(self) -> bool:
        pids = processes_of(self._lab.hosts["c"], _EXPORTER) if "c" in self._lab.hosts else []
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    # A silence for the alerts that trigger locum

    def _bring_silence(self, _: Mapping[str, Any]) -> str | None:
        words = ("add", "--duration=1h", "--author=campaign", "--comment=campaign", 'locum_action="true"')
        try:
            said = self._amtool(*words)
        except subprocess.CalledProcessError as fault:
            return f"did nothing: {(fault.stderr or '').strip()[:200]}"
        self._silence = said.strip()
        return None

    def _heal_silence(self) -> None:
        if self._silence:
            with suppress(subprocess.CalledProcessError):
                self._amtool("expire", self._silence)
        self._silence = ""

    def _amtool(self, *words: str) -> str:
        return self._lab.run(
            HOME,
            [
                "amtool",
                f"--http.config.file={STATE}/chain/client.yml",
                f"--alertmanager.url={ALERTMANAGER}",
                "silence",
                *words,
            ],
        ).stdout

    # A local user without rights

    def _bring_drip(self, _: Mapping[str, Any]) -> None:
        self._drip = self._lab.popen(
            HOME, [*POWERLESS, *PYTHON, str(LOCAL_USER), DRIPPING, *DRIPPED],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _heal_drip(self) -> None:
        if self._drip is not None:
            self._drip.kill()
        self._drip = None

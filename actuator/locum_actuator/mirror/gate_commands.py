"""Build command lines that run a host's gate: over OpenSSH on another host, directly on this one.

With paramiko, which all other calls use, the data would pass through Python; with a pipe between two OpenSSH
processes they do not.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from locum_actuator.domain.mirror_run import MirrorError
from locum_actuator.system.bounded_process import ProcessError, run_bounded
from locum_inventory.gate.answers import clean
from locum_inventory.gate.host_file import GATE_PATH
from locum_inventory.site.model import Site

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

_VERDICT = re.compile(r"^end (ok|refused|failed|old_epoch)(?: (.*))?$", re.MULTILINE)
# ssh gives up an unreachable peer after 15 s, and uses no name or port other than the site file's.
_SSH = (
    "ssh", "-F", "none", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
    "-o", "GlobalKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
    "-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
    "-o", "Compression=no", "-o", "ControlPath=none", "-o", "LogLevel=ERROR",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MirrorArguments:
    """The arguments of a mirror command after the service; 0 means not set."""

    epoch: int
    tree: int = 0
    run: int = 0
    since: int = 0
    allowed: int = 0
    discard: bool = False
    progress: bool = False

    def __str__(self) -> str:
        numbers = (self.epoch, self.tree, self.run, self.since, self.allowed, self.discard, self.progress)
        return " ".join(str(int(number)) for number in numbers)


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The last line of a gate's output: ok, refused, failed or old_epoch; "" if there was none."""

    word: str
    text: str

    @staticmethod
    def of(said: str) -> GateVerdict:
        """Return the verdict in a gate's output."""
        found = _VERDICT.findall(said)
        return GateVerdict(found[-1][0], clean(found[-1][1], 600)) if found else GateVerdict("", "")


@dataclass(frozen=True, slots=True)
class GateCommands:
    """Run commands on the gates of a site's hosts."""

    site: Site
    local_host: str
    gate_path: Path = GATE_PATH

    def command(self, host: str, verb: str, service: str, words: MirrorArguments) -> list[str]:
        """Return the command line; raise `MirrorError` if the site file has no access to that host."""
        if host == self.local_host:
            sudo = [] if os.geteuid() == 0 else ["sudo", "-n", "--"]
            return [*sudo, str(self.gate_path), "actuator", verb, service, *str(words).split()]
        at, ssh = self.site.hosts[host].address, self.site.hosts[host].ssh
        if ssh is None:
            raise MirrorError(f"{host}: the site file gives no ssh for this host, and it is not this machine")
        return [
            *_SSH, "-o", f'UserKnownHostsFile="{ssh.known_hosts}"', "-i", str(ssh.key_file),
            "-p", str(ssh.port), "-l", ssh.user, "--", str(at), f"{verb} {service} {words}",
        ]  # fmt: skip

    def ask(
        self, host: str, verb: str, service: str, words: MirrorArguments, *, deadline_seconds: float
    ) -> list[tuple[str, str]]:
        """Run a short command and return its lines as keys and values; raises `MirrorError`."""
        try:
            ran = run_bounded(
                self.command(host, verb, service, words), "",
                deadline_seconds=deadline_seconds, environment=ENVIRONMENT,
            )  # fmt: skip
        except ProcessError as fault:
            raise MirrorError(f"{host}: {verb} {fault}") from None
        verdict = GateVerdict.of(ran.output)
        if verdict.word != "ok":
            why = verdict.text or clean(ran.errors) or clean(ran.output) or f"exit status {ran.status}"
            raise MirrorError(f"{host}: {why}")
        pairs = (line.partition(" ") for line in ran.output.splitlines()[1:-1])
        return [(key, value) for key, _, value in pairs]

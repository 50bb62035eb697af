"""Run install.sh on a host over the administrator's own SSH, to enrol it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from locum_actuator.cli.common.exits import wrong_use
from locum_actuator.system.printing import prompt_password
from locum_inventory.enrolment.request import EnrolmentError, HostReport, read_report
from locum_inventory.site.model import Site

DEFAULT_PORT = 22
ADMIN_SECONDS = 300.0  # long enough for a person to answer ssh's questions

# The complete remote commands; nothing else is added to them.
_ASKS = "locum-asks for"
_REMOTE = (
    'if [ "$(id -u)" = 0 ]; then exec sh -s; fi; if sudo -n sh -c : 2>/dev/null; '
    "then exec sudo -n sh -s; fi; "
    f'if command -v sudo >/dev/null; then echo "{_ASKS} sudo"; else echo "{_ASKS} su"; fi'
)
# Each reads the password from the first line of standard input. -k: sudo asks even if it has cached the
# password, so that the shell never receives it.
_WITH_PASSWORD = {"sudo": "exec sudo -S -k -p '' sh -s", "su": "exec su -c 'exec sh -s' root"}
_TARGET = re.compile(r"(ssh://)?([A-Za-z0-9._-]+@)?[A-Za-z0-9._:%\[\]-]+")


@dataclass(frozen=True, slots=True)
class Administrator:
    """The administrator's access to a host: `command` runs a shell script from its standard input as root."""

    host: str
    command: tuple[str, ...]
    use_su: bool = False
    _passwords: list[str] = field(default_factory=list, repr=False)  # asked for once

    def run(self, script: str) -> HostReport:
        """Run install.sh on the host and return its report; ask for a password if sudo or su needs one."""
        command = self.command
        output = f"{_ASKS} su" if self.use_su else self._output(command, script)
        if output.startswith(_ASKS):
            how = output.split()[2]
            if not self._passwords:
                self._passwords.append(_ask_password(self.host, how))
            output = self._output((*command[:-1], _WITH_PASSWORD[how]), f"{self._passwords[0]}\n{script}")
            if "locum-install " not in output:
                raise EnrolmentError(f"{how} did not make you root on that host; nothing was done")
        return read_report(output)

    def _output(self, command: tuple[str, ...], text: str) -> str:
        try:
            done = subprocess.run(
                command,
                input=text,
                stdout=subprocess.PIPE,
                text=True,
                timeout=ADMIN_SECONDS,
                check=False,
            )
        except OSError as error:
            raise EnrolmentError(f"cannot run {self.command[0]}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise EnrolmentError(f"timed out after {ADMIN_SECONDS:g} s") from None
        is_answer = done.stdout.startswith(_ASKS) or "locum-install " in done.stdout
        if not is_answer and command == self.command:
            raise EnrolmentError(f"{command[0]} ended with {done.returncode} before anything was done")
        return done.stdout


def _ask_password(host: str, how: str) -> str:
    whose = "root's password" if how == "su" else "your password for sudo"
    if not sys.stdin.isatty():
        raise EnrolmentError(f"{how} on that host asks for a password, but there is no terminal to enter it")
    return prompt_password(f"{host}: {whose}")


def administrator(
    site: Site,
    host: str,
    admin: str | None,
    identity: Path | None,
    admin_known_hosts: Path | None,
    *,
    use_su: bool = False,
) -> Administrator:
    """Return the administrator's access: a local shell on the actuator's own host, ssh to every other host."""
    if host == site.actuator.host:
        return Administrator(host, ("sh", "-s") if os.geteuid() == 0 else ("sudo", "--", "sh", "-s"))
    target = admin or f"root@{site.hosts[host].address}"
    if not _TARGET.fullmatch(target) or target.startswith("-"):
        wrong_use(f"locum: --admin: {target!r} is not USER@ADDRESS")
    options = ["-T", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5"]
    if identity is not None:
        options += ["-i", str(identity), "-o", "IdentitiesOnly=yes"]
    if admin_known_hosts is not None:
        options += ["-o", f'UserKnownHostsFile="{admin_known_hosts}"', "-o", "StrictHostKeyChecking=yes"]
    ssh = site.hosts[host].ssh
    if ssh is not None and ssh.port != DEFAULT_PORT and not target.startswith("ssh://"):
        options += ["-p", str(ssh.port)]
    return Administrator(host, ("ssh", *options, "--", target, _REMOTE), use_su)

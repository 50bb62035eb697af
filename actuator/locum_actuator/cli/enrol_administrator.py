"""The administrator's own way onto a host, over which it is enrolled."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from locum_actuator.cli.exits import wrong_use
from locum_inventory.enrolment import EnrolFault, Report, read_report
from locum_inventory.model import Site

ADMIN_SECONDS = 300.0  # a person may have to answer ssh's questions

# The whole remote command: no word of it comes from anywhere else.
_REMOTE = 'if [ "$(id -u)" = 0 ]; then exec sh -s; else exec sudo -n sh -s; fi'
_TARGET = re.compile(r"(ssh://)?([A-Za-z0-9._-]+@)?[A-Za-z0-9._:%\[\]-]+")


@dataclass(frozen=True, slots=True)
class Administrator:
    """How the administrator gets onto a host: `command` reads a shell script on its standard input, as root."""

    host: str
    command: tuple[str, ...]

    def run(self, script: str) -> Report:
        """Run install.sh there and return its report."""
        try:
            done = subprocess.run(
                self.command,
                input=script,
                stdout=subprocess.PIPE,
                text=True,
                timeout=ADMIN_SECONDS,
                check=False,
            )
        except OSError as error:
            raise EnrolFault(f"{self.command[0]} cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise EnrolFault(f"not done within {ADMIN_SECONDS:g} s") from None
        if "locum-install " not in done.stdout:
            raise EnrolFault(f"{self.command[0]} ended with {done.returncode} before anything was done")
        return read_report(done.stdout)


def administrator(
    site: Site, host: str, admin: str | None, identity: Path | None, admin_known_hosts: Path | None
) -> Administrator:
    """Return the administrator's way: a shell here for the actuator's own host, ssh for every other."""
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
    return Administrator(host, ("ssh", *options, "--", target, _REMOTE))

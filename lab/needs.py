"""The lab's requirements on the machine, and one clear line for each one that is not met."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping

# Programs are searched where Debian installs them, independent of the caller's PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Mapping[str, str] = {
    "PATH": PATH,
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "TERM": "xterm",
}

PACKAGES: Mapping[str, str] = {
    "apachectl": "apache2",
    "arping": "iputils-arping",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ping": "iputils-ping",
    "runuser": "util-linux",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
}


class LabError(Exception):
    """The lab cannot do what was requested; the text is one line with the reason."""


def find(program: str) -> str | None:
    """Return the path of a program."""
    return shutil.which(program, path=PATH)


def check(uid: int | None = None, where: Callable[[str], str | None] = find) -> None:
    """Raise `LabError` if this process does not run as root, or a program is missing."""
    if (os.geteuid() if uid is None else uid) != 0:
        raise LabError("the lab creates namespaces and needs root: run it with sudo")
    missing = [program for program in PACKAGES if where(program) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES[program] for program in missing}))
        raise LabError(f"{', '.join(missing)} missing: apt-get install {packages}")

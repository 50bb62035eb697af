"""What the lab needs of the machine, and one clear line for whatever is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping

# Programs are looked for where Debian puts them, whatever PATH the caller has.
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
    """The lab cannot do what was asked; the text says why in one line."""


def find(program: str) -> str | None:
    """Return where a program is."""
    return shutil.which(program, path=PATH)


def check(uid: int | None = None, where: Callable[[str], str | None] = find) -> None:
    """Raise `LabError` if this process is not root's, or a program is missing."""
    if (os.geteuid() if uid is None else uid) != 0:
        raise LabError("the lab makes namespaces and needs root: run it with sudo")
    missing = [program for program in PACKAGES if where(program) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES[program] for program in missing}))
        raise LabError(f"{', '.join(missing)} missing: apt-get install {packages}")

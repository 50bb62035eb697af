"""The files on a host's disk before its first boot: its names, keys and web page."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.needs import ENVIRONMENT
from lab.plan import ADMINISTRATOR, PLACES, SERVICE_ADDRESS, SERVICE_ADDRESS6, Place

ADMIN_KEY = Path("/root/.ssh/id_ed25519")  # only on the administrator's host
SERVED_BY = "X-Served-By"

_SSHD_CONFIG = """\
# Debian's defaults, with this host's own key.
HostKey /etc/ssh/ssh_host_ed25519_key
KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
"""
_APACHE_CONFIG = """\
ServerName {name}
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
Header always set {header} "{name}"
"""
_PAGE = """\
<html>
<head><title>www on {name}</title></head>
<body><h1>www</h1><p>This page was served by <b>{name}</b>.</p></body>
</html>
"""
# The machine's own files, which a host of the lab must not have.
ABSENT = (
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_rsa_key.pub",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ecdsa_key.pub",
    "/root/.ssh",
    "/root/.bash_profile",
    "/etc/locum",
    "/var/lib/locum",
)


@dataclass(frozen=True, slots=True)
class File:
    """A file, or a directory if there is no text."""

    path: str
    text: str | None
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Key:
    """An ed25519 key pair in OpenSSH's format."""

    private: str
    public: str


def make_keys(names: Iterable[str], where: Path) -> dict[str, Key]:
    """Create a key pair for each name in the lab's own memory, never on the machine's disk."""
    keys = {}
    with tempfile.TemporaryDirectory(prefix="keys-", dir=where) as directory:
        for name in names:
            path = Path(directory, name)
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab-{name}", "-f", str(path)],
                env=dict(ENVIRONMENT), check=True, timeout=10, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            keys[name] = Key(path.read_text("ascii"), path.with_suffix(".pub").read_text("ascii"))
    return keys


def known_hosts(keys: dict[str, Key]) -> str:
    """Return a known_hosts file with the host keys, as after an administrator verified them at the consoles."""
    lines = []
    for name, key in keys.items():
        if name in PLACES:
            place = PLACES[name]
            kind, blob = key.public.split()[:2]
            lines.append(f"{name},{place.address},{place.address6} {kind} {blob}\n")
    return "".join(lines)


def files(place: Place, keys: dict[str, Key]) -> list[File]:
    """Return the files for a host's disk. `keys` has every server's host key, and `admin`."""
    name = place.name
    written = [
        File("/etc/hostname", f"{name}\n"),
        File("/etc/hosts", _hosts_file()),
        File("/etc/resolv.conf", "# the lab has no name server\n"),
        File("/etc/ssh/ssh_host_ed25519_key", keys[name].private, 0o600),
        File("/etc/ssh/ssh_host_ed25519_key.pub", keys[name].public),
        File("/etc/ssh/sshd_config", _SSHD_CONFIG),
        File("/root/.bashrc", ""),  # empty: the machine's would cost time at every login
        File("/root/.profile", ""),
        File("/root/.ssh", None, 0o700),
        File("/root/.ssh/authorized_keys", keys["admin"].public, 0o600),
        File("/etc/apache2/conf-enabled/lab.conf", _APACHE_CONFIG.format(name=name, header=SERVED_BY)),
        File("/var/www/html/index.html", _PAGE.format(name=name)),
    ]
    if name == ADMINISTRATOR:
        written += [
            File(str(ADMIN_KEY), keys["admin"].private, 0o600),
            File(f"{ADMIN_KEY}.pub", keys["admin"].public),
            File("/root/.ssh/known_hosts", known_hosts(keys)),
        ]
    return written


def _hosts_file() -> str:
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    for place in PLACES.values():
        if place.number is not None:
            lines += [f"{place.address} {place.name}", f"{place.address6} {place.name}"]
    lines += [f"{SERVICE_ADDRESS.ip} www", f"{SERVICE_ADDRESS6.ip} www"]
    return "\n".join(lines) + "\n"

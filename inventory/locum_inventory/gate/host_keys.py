"""Pinned host keys in a known_hosts file (sshd(8)), read and rewritten for one host at a time."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from pathlib import Path

from paramiko import HostKeys

from locum_inventory.site.model import Address, Ssh


def known_hosts_name(address: Address, ssh: Ssh | None) -> str:
    """Return a host's name in the known_hosts file, as enrolment writes it and connections look it up."""
    port = ssh.port if ssh is not None else 22
    return str(address) if port == 22 else f"[{address}]:{port}"


def fingerprint(key: str) -> str:
    """Return the SHA-256 fingerprint of a key (`ssh-ed25519 AAAA…`), in the form of ssh-keygen -l."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def pinned(path: Path, name: str) -> tuple[str, ...]:
    """Return the keys pinned for a name; none if the file does not exist. Raises other OSErrors."""
    return tuple(
        " ".join(fields[1:3])
        for fields in map(str.split, _lines(path))
        if len(fields) >= 3 and _names(fields[0], name)
    )


def pin(path: Path, name: str, key: str) -> None:
    """Make `key` the only key of `name` and keep the other hosts' lines. The file is replaced as a whole."""
    kept = [line for line in _lines(path) if not _is_of(line, name)]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in [*kept, f"{name} {key}"])
            os.fchmod(file.fileno(), 0o644)
            file.flush()
            os.fsync(file.fileno())
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _is_of(line: str, name: str) -> bool:
    fields = line.split()
    return len(fields) >= 3 and _names(fields[0], name)


def _names(field: str, name: str) -> bool:
    if field.startswith("|1|"):
        return HostKeys.hash_host(name, field) == field
    return name in field.split(",")

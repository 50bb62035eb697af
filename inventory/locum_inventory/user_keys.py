"""locum's own SSH keys: ed25519, made once, never overwritten."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from locum_inventory.enrolment import EnrolFault

KEYGEN_SECONDS = 30.0


def make_key(path: Path, owner: str | None) -> None:
    """Make a key pair for `owner` (None: who runs this), readable by nobody else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "locum", "-f", str(path)],
            check=True, capture_output=True, text=True, timeout=KEYGEN_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        path.chmod(0o600)
        if owner is not None:
            user = pwd.getpwnam(owner)
            for file in (path, _public(path)):
                os.chown(file, user.pw_uid, user.pw_gid)
    except KeyError:
        raise EnrolFault(f"the key {path} cannot be given to {owner}: there is no such user") from None
    except OSError as error:
        raise EnrolFault(f"the key {path} cannot be made: {error.strerror}") from None
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or str(error)
        raise EnrolFault(f"the key {path} cannot be made: {said.strip()}") from None


def public_key(path: Path) -> str:
    """Return the public half of a key, from its own file or from the private one."""
    try:
        if _public(path).exists():
            return _public(path).read_text(encoding="utf-8").strip()
        done = subprocess.run(
            ["ssh-keygen", "-y", "-P", "", "-f", str(path)],
            check=True, capture_output=True, text=True, timeout=KEYGEN_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        raise EnrolFault(
            f"the key {path} cannot be read: it must be an ed25519 key without passphrase"
        ) from None
    return done.stdout.strip()


def _public(path: Path) -> Path:
    return path.with_name(path.name + ".pub")

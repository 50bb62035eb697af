"""locum's own SSH keys: ed25519, created once, never overwritten."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from locum_inventory.enrolment.request import EnrolmentError

KEYGEN_SECONDS = 30.0


def make_key(path: Path, owner: str | None) -> None:
    """Create a key pair that only `owner` can read (None: the current user)."""
    try:
        user = pwd.getpwnam(owner) if owner is not None else None
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / "key"
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "locum", "-f", str(made)],
                check=True, capture_output=True, text=True, timeout=KEYGEN_SECONDS, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            _put(_public(path), _public(made).read_bytes(), 0o644, user)
            _put(path, made.read_bytes(), 0o600, user)
    except KeyError:
        raise EnrolmentError(f"the key {path} cannot be created for {owner}: there is no such user") from None
    except OSError as error:
        raise EnrolmentError(f"the key {path} cannot be created: {error.strerror}") from None
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or str(error)
        raise EnrolmentError(f"the key {path} cannot be created: {said.strip()}") from None


def _put(path: Path, content: bytes, mode: int, user: pwd.struct_passwd | None) -> None:
    """Write a new file for a user without following symbolic links: the directory may belong to that user.

    A public key whose private key is gone is replaced.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if Path(f"/proc/self/fd/{directory}").readlink() != path.parent.absolute():
            raise EnrolmentError(f"the key {path} cannot be created: its path contains a symbolic link")
        if path.suffix == ".pub":
            with suppress(FileNotFoundError):
                os.unlink(path.name, dir_fd=directory)
        file = os.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=directory)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
            if user is not None:
                os.fchown(stream.fileno(), user.pw_uid, user.pw_gid)
    finally:
        os.close(directory)


def public_key(path: Path) -> str:
    """Return the public key, from its own file or derived from the private key."""
    try:
        if _public(path).exists():
            return _public(path).read_text(encoding="utf-8").strip()
        done = subprocess.run(
            ["ssh-keygen", "-y", "-P", "", "-f", str(path)],
            check=True, capture_output=True, text=True, timeout=KEYGEN_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        raise EnrolmentError(
            f"the key {path} cannot be read: it must be an ed25519 key without passphrase"
        ) from None
    return done.stdout.strip()


def _public(path: Path) -> Path:
    return path.with_name(path.name + ".pub")

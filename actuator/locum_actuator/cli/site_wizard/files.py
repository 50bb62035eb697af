"""Write the files of `locum init`: the site file and the tokens. Nothing is overwritten without `--force`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TOKEN_BYTES = 32


def write_token(path: Path) -> bool:
    """Write a new secret that only its owner can read; return False if the file exists already and is kept."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
    return True


def write_site(path: Path, text: str, *, replace: bool) -> bool:
    """Write the site file completely or not at all; return False if it exists and must not be replaced."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with new.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            new.replace(path)
        else:
            os.link(new, path)  # unlike a rename, this never replaces
    except FileExistsError:
        return False
    finally:
        new.unlink(missing_ok=True)
    return True

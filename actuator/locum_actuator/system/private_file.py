"""Write files that only their owner can read, atomically and without following another user's links."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> Path:
    """Write a file, or replace it, and return its path. Raises `OSError`."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)  # a leftover, or a link of another user
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return new.rename(path)

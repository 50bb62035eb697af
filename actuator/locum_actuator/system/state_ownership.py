"""Check that the current user can write the files in the state directory."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

DEPTH = 2  # the journal and each program's directory; deeper files have the same owner as those


def ownership_fault(directory: Path) -> str | None:
    """Return why the current user cannot use the state directory, in one line; None if it can.

    A `locum up` run by root leaves files that belong to root, which the systemd unit, running as another user,
    could not write. And if root runs with the directory of another user, it would follow that user's symbolic
    links.
    """
    me = _name(os.geteuid())
    try:
        if os.geteuid() == 0 and (link := _strange_link(directory)) is not None:
            owner = _name(link.lstat().st_uid)
            return (
                f"{link}: is a symbolic link of {owner}, and root would write to its target: "
                f"remove it, or run this as {owner}"
            )
        for path in _entries(directory, DEPTH):
            if not os.access(path, os.W_OK, effective_ids=True):
                owner = _name(path.stat().st_uid)
                return (
                    f"{path}: belongs to {owner} and cannot be written by {me}, the user running this: "
                    f"as root, run: chown -R {me}: {directory}"
                )
    except PermissionError as error:
        return f"{error.filename}: cannot be accessed by {me}, the user running this: {error.strerror}"
    return None


def _entries(directory: Path, depth: int) -> Iterator[Path]:
    """Yield the directory and its content down to a depth; links are skipped, because they lead elsewhere."""
    if not directory.exists():
        return
    yield directory
    if depth == 0 or not os.access(directory, os.R_OK | os.X_OK, effective_ids=True):
        return
    for path in sorted(directory.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _entries(path, depth - 1)
        else:
            yield path


def _strange_link(directory: Path) -> Path | None:
    """Return a symbolic link that is not root's, in a directory that is not root's; None if there is none."""
    if not directory.exists() or directory.stat().st_uid == 0:
        return None
    for parent in (
        directory,
        *(path for path in directory.iterdir() if path.is_dir() and not path.is_symlink()),
    ):
        for path in parent.iterdir():
            if path.is_symlink() and path.lstat().st_uid != 0:
                return path
    return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"

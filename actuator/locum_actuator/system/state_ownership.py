"""Whether the files in the state directory can be written by the user that this program runs as."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

DEPTH = 2  # the journal and each program's directory; what lies deeper was made by whoever made those


def ownership_fault(directory: Path) -> str | None:
    """Return why this user cannot use the state directory, in one line; None where it can.

    A `locum up` that root once ran leaves files of root's behind, and the unit, which runs as another user, could
    never write them. And where root runs with the directory of another user, it would write wherever a link of that
    user's leads.
    """
    me = _name(os.geteuid())
    try:
        if os.geteuid() == 0 and (link := _strange_link(directory)) is not None:
            owner = _name(link.lstat().st_uid)
            return (
                f"{link}: is a symbolic link of {owner}'s, and root would write where it leads: "
                f"remove it, or run this as {owner}"
            )
        for path in _entries(directory, DEPTH):
            if not os.access(path, os.W_OK, effective_ids=True):
                owner = _name(path.stat().st_uid)
                return (
                    f"{path}: belongs to {owner} and cannot be written by {me}, as which this runs: "
                    f"give it back as root with: chown -R {me}: {directory}"
                )
    except PermissionError as error:
        return f"{error.filename}: cannot be reached by {me}, as which this runs: {error.strerror}"
    return None


def _entries(directory: Path, depth: int) -> Iterator[Path]:
    """Yield the directory and what is in it, as deep as asked; links are left out, for they lead elsewhere."""
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
    """Return a link in the directory of another user than root that root has not made; None where there is none."""
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

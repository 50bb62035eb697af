"""Allow one actuator per state directory: two would both act, and could give an address to two hosts."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from locum_inventory.errors import LocumError


class AlreadyRunningError(LocumError):
    """Another actuator uses the state directory, or that cannot be determined."""


def acquire_instance_lock(directory: Path) -> IO[str]:
    """Return a file that is locked until it is closed or this process ends, however it ends.

    Raises `AlreadyRunningError`. No child keeps the lock, because Python's files close on exec.
    """
    path = directory / "actuator.lock"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Follow no link and truncate nothing: root may run with the directory of another user.
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "w")
    except OSError as fault:
        raise AlreadyRunningError(f"{path}: cannot be written: {fault.strerror}") from fault
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        file.close()
        if isinstance(fault, BlockingIOError):
            raise AlreadyRunningError(
                f"{directory}: another actuator runs with this state directory"
            ) from fault
        raise AlreadyRunningError(f"{path}: cannot be locked: {fault.strerror}") from fault
    return file

"""What the kernel's errors mean, in the short list of reasons."""

from __future__ import annotations

import errno
import os
import socket

from locum_exporter.result import Reason

_REASONS: dict[int, Reason] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EPERM: "permission",
    errno.EACCES: "permission",
    errno.EMFILE: "permission",
    errno.ENFILE: "permission",
    errno.ENOMEM: "permission",
    errno.ENOBUFS: "permission",
}


class ExplainedError(OSError):
    """An OSError whose own text says more than the kernel's words for its number."""


def reason_of_os_error(error: OSError) -> Reason:
    """Return the reason an OSError stands for; what has no name of its own is `unreachable`."""
    return _REASONS.get(error.errno or 0, "unreachable")


def text_of_os_error(error: OSError) -> str:
    """Return one line for people, without the address that asyncio puts into the text."""
    if isinstance(error, ExplainedError | socket.gaierror):
        return str(error.strerror)  # a gaierror's number is not of the kernel's
    if error.errno:
        return os.strerror(error.errno).lower()
    return (str(error) or type(error).__name__).splitlines()[0]

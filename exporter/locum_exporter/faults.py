"""What the kernel's errors mean, in the short list of reasons."""

from __future__ import annotations

import errno
import os
import socket

from locum_exporter.result import NOT_LOOKED_REASONS, Reason

# The errors of this host's own stack say nothing about the target. What is left out comes from the network or the
# target, and is `unreachable`.
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
    errno.ENETUNREACH: "interface",
    errno.ENETDOWN: "interface",
    errno.ENODEV: "interface",
    errno.ENXIO: "interface",
    errno.EADDRNOTAVAIL: "interface",
    errno.EAFNOSUPPORT: "interface",
    errno.EPFNOSUPPORT: "interface",
    errno.EINVAL: "interface",
}


class ExplainedError(OSError):
    """An OSError whose own text says more than the kernel's words for its number."""


def reason_of_os_error(error: OSError) -> Reason:
    """Return the reason an OSError stands for; what has no name of its own is `unreachable`."""
    return _REASONS.get(error.errno or 0, "unreachable")


def reason_of_unsent(error: OSError) -> Reason:
    """Return the reason why a question could not be sent at all, which says nothing about the target."""
    reason = reason_of_os_error(error)
    return reason if reason in NOT_LOOKED_REASONS else "interface"


def text_of_os_error(error: OSError) -> str:
    """Return one line for people, without the address that asyncio puts into the text."""
    if isinstance(error, ExplainedError | socket.gaierror):
        return str(error.strerror)  # a gaierror's number is not of the kernel's
    if error.errno:
        return os.strerror(error.errno).lower()
    return (str(error) or type(error).__name__).splitlines()[0]

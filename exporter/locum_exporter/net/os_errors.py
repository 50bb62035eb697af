"""What the kernel's errors mean, in the short list of reasons."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from locum_exporter.net.tls_errors import is_end, text_of_tls_error
from locum_exporter.result import NOT_LOOKED_REASONS, Reason
from locum_inventory.errors import LocumError

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


class ExplainedError(LocumError, OSError):
    """An OSError whose own text says more than the kernel's words for its number."""


# Python raises these without a number of the kernel's, as asyncio does where a peer closes in a handshake.
_KINDS: tuple[tuple[type[OSError], Reason, str], ...] = (
    (ConnectionRefusedError, "refused", "connection refused"),
    (ConnectionError, "reset", "the connection was closed"),
    (TimeoutError, "timeout", "no answer in time"),
    (PermissionError, "permission", "operation not permitted"),
)


def reason_of_os_error(error: OSError) -> Reason:
    """Return the reason an OSError stands for; what has no name of its own is `unreachable`."""
    if isinstance(error, ssl.SSLError):  # its number is OpenSSL's, and so would be EPERM or ENOENT
        return "reset" if is_end(error) else "tls"
    if isinstance(error, socket.gaierror):  # its number is the resolver's
        return "dns"
    if error.errno:
        return _REASONS.get(error.errno, "unreachable")
    return next((reason for kind, reason, _ in _KINDS if isinstance(error, kind)), "unreachable")


def reason_of_unsent(error: OSError) -> Reason:
    """Return the reason why a question could not be sent at all, which says nothing about the target."""
    reason = reason_of_os_error(error)
    return reason if reason in NOT_LOOKED_REASONS else "interface"


def text_of_os_error(error: OSError) -> str:
    """Return one line for people, without the address that asyncio puts into the text."""
    if isinstance(error, ssl.SSLError):
        return text_of_tls_error(error)
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve: {error.strerror or error}".lower()
    if isinstance(error, ExplainedError):
        return str(error.strerror)
    if error.errno:
        return os.strerror(error.errno).lower()
    text = next((words for kind, _, words in _KINDS if isinstance(error, kind)), "")
    return text or (str(error) or type(error).__name__).splitlines()[0]

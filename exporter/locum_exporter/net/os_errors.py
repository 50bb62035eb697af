"""Map the kernel's errors to the reasons of a check."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from locum_exporter.net.tls_errors import is_end, text_of_tls_error
from locum_exporter.result import NOT_LOOKED_REASONS, Reason
from locum_inventory.errors import LocumError

# Errors of this host's own network stack are no evidence about the target. Errors that are not listed come from the
# network or the target, and mean `unreachable`.
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
    """An OSError whose own text is more specific than the kernel's text for its errno."""


# Python raises these without an errno, for example asyncio when a peer closes during a handshake.
_KINDS: tuple[tuple[type[OSError], Reason, str], ...] = (
    (ConnectionRefusedError, "refused", "connection refused"),
    (ConnectionError, "reset", "the connection was closed"),
    (TimeoutError, "timeout", "no answer in time"),
    (PermissionError, "permission", "operation not permitted"),
)


def reason_of_os_error(error: OSError) -> Reason:
    """Return the reason for an OSError; `unreachable` if there is no specific one."""
    if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's and could be mistaken for EPERM or ENOENT
        return "reset" if is_end(error) else "tls"
    if isinstance(error, socket.gaierror):  # its errno is the resolver's
        return "dns"
    if error.errno:
        return _REASONS.get(error.errno, "unreachable")
    return next((reason for kind, reason, _ in _KINDS if isinstance(error, kind)), "unreachable")


def reason_of_unsent(error: OSError) -> Reason:
    """Return the reason why a request could not be sent, which is no evidence about the target."""
    reason = reason_of_os_error(error)
    return reason if reason in NOT_LOOKED_REASONS else "interface"


def text_of_os_error(error: OSError) -> str:
    """Return the message as one line, without the address that asyncio adds."""
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

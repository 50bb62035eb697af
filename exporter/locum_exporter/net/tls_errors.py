"""Describe errors of a TLS handshake so that an administrator knows what to change."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

_NO_TLS = "the server does not speak TLS on this port"
_NO_VERSION = "the server does not support TLS 1.2 or later"
_NO_CLIENT_CERTIFICATE = "the server requires a client certificate, and locum has none"

# By OpenSSL's error name (err.h, sslerr.h). Alerts are sent by the server (RFC 8446, 6.2).
_WORDS: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "UNKNOWN_PROTOCOL": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _NO_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_VERSION,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _NO_CLIENT_CERTIFICATE,
    "SSLV3_ALERT_BAD_CERTIFICATE": _NO_CLIENT_CERTIFICATE,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server closed it: no common cipher, or it requires a client certificate",
    "TLSV1_UNRECOGNIZED_NAME": "the server has no certificate for this name",
    "TLSV1_ALERT_UNRECOGNIZED_NAME": "the server has no certificate for this name",
    "TLSV1_ALERT_INTERNAL_ERROR": "the server reports an internal error",
}
# Verification results for an untrusted issuer (x509_vfy.h): 18, 19, 20 and 21.
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})


def is_end(error: ssl.SSLError) -> bool:
    """Return whether the error only means that the connection was closed."""
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def text_of_tls_error(error: ssl.SSLError) -> str:
    """Return the message as one line. The errno of such an error is OpenSSL's, not the kernel's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "; ca_file names the issuer to trust" if error.verify_code in _UNKNOWN_ISSUER else ""
        return f"the certificate is not accepted: {error.verify_message}{advice}"
    if is_end(error):
        return "the connection was closed during the handshake"
    name = getattr(error, "reason", None) or ""
    return (
        f"the handshake failed: {_WORDS.get(name) or name.lower().replace('_', ' ') or 'no reason is given'}"
    )

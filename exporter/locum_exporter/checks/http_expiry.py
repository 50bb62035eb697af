"""Read the expiry time of a server's certificate, even if it was not accepted because it has expired."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from cryptography import x509

from locum_exporter.checks.http_tls import Handshake, reading_context


async def expiry_of(handshake: Handshake, left_seconds: float) -> float | None:
    """Return the expiry time of the server's certificate in seconds since 1970; None if it sent none.

    If the certificate was not accepted, the handshake has failed and does not provide it, so a second connection
    reads it and sends nothing else; it ends within `left_seconds`.
    """
    shown = handshake.certificate()
    if shown is None and handshake.was_refused and handshake.peer is not None:
        with contextlib.suppress(TimeoutError, OSError, ValueError):
            async with asyncio.timeout(max(left_seconds, 0.0)):
                shown = await _shown_by(*handshake.peer)
    if shown is None:
        return None
    try:
        return x509.load_der_x509_certificate(shown).not_valid_after_utc.timestamp()
    except ValueError:
        return None  # a certificate that this library cannot parse either


async def _shown_by(address: str, port: int, name: str | None) -> bytes | None:
    """Return the certificate of a server, trusted or not."""
    _reader, writer = await asyncio.open_connection(
        address, port, ssl=reading_context(), server_hostname=name
    )
    try:
        connection = writer.get_extra_info("ssl_object")
        return connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLObject) else None
    finally:
        writer.transport.abort()

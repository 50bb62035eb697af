"""TLS for the HTTP check: trusted certificates, start of the handshake, the server's certificate."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locum_exporter.net.os_errors import text_of_os_error
from locum_inventory.errors import LocumError


class CaFileError(LocumError):
    """The file of trusted certificates cannot be used."""


@dataclass(slots=True)
class Handshake:
    """One TLS handshake, as far as it got. Times are from `time.perf_counter`."""

    started_at: float | None = None
    connection: ssl.SSLObject | None = None
    peer: tuple[str, int, str | None] | None = None  # address, port and the requested name
    was_refused: bool = False  # the server's certificate was not accepted

    def certificate(self) -> bytes | None:
        """Return the server's certificate in DER, if the handshake was completed."""
        if self.connection is None:
            return None
        try:
            return self.connection.getpeercert(binary_form=True)
        except ValueError:  # the handshake was not completed
            return None


_watched: ContextVar[Handshake | None] = ContextVar("watched_handshake", default=None)


@contextmanager
def watch_handshake(handshake: Handshake) -> Iterator[None]:
    """Record the next handshake that this task or one of its child tasks begins."""
    token = _watched.set(handshake)
    try:
        yield
    finally:
        _watched.reset(token)


class _WatchedContext(ssl.SSLContext):
    """Records the start of a handshake: asyncio calls `wrap_bio` for it, and aiohttp has no trace signal."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        connection = super().wrap_bio(*args, **kwargs)
        handshake = _watched.get()
        if handshake is not None:
            handshake.started_at, handshake.connection = time.perf_counter(), connection
        return connection


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the certificates of `ca_file`, or the system's.

    Loading the system's takes about 20 ms, so a context is kept until its file changes. Raises CaFileError.
    """
    path = ca_file or _system_file()
    if path is None:
        return _load(None, 0, 0)
    try:
        facts = path.stat()
        return _load(path, facts.st_mtime_ns, facts.st_size)
    except ssl.SSLError:
        raise CaFileError("the CA file cannot be used: it contains no certificate") from None
    except OSError as error:
        raise CaFileError(f"the CA file cannot be used: {text_of_os_error(error)}") from None


@functools.lru_cache(maxsize=256)
def _load(path: Path | None, _mtime_ns: int, _size: int) -> ssl.SSLContext:
    context = _WatchedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if path is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cafile=path)
    return context


@functools.cache
def reading_context() -> ssl.SSLContext:
    """Return a context that accepts every certificate, only for reading its expiry time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _system_file() -> Path | None:
    name = ssl.get_default_verify_paths().cafile
    return Path(name) if name else None

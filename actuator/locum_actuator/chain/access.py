"""Credentials for a Prometheus and an Alertmanager that require authentication, sent over TLS only.

They are a name with its password, a client certificate, or both. The password is sent only to a program with the
key of a certificate in `ca_file`. Over plain HTTP nothing secret is sent: while the program is down, any user of
the machine can listen on its port.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp
import requests

from locum_inventory.site.model import ChainParts

ANSWER_SECONDS = (0.5, 1.5)  # to connect, to answer; only a background thread waits for it


@dataclass(frozen=True, slots=True)
class Access:
    """The credentials for Prometheus and Alertmanager."""

    parts: ChainParts

    def options(self, url: str) -> dict[str, Any]:
        """Return aiohttp's options for a request. Raises `OSError` if a file cannot be read."""
        if not url.startswith("https://"):
            return {}
        options: dict[str, Any] = {}
        if self.parts.password_file is not None:
            options["auth"] = aiohttp.BasicAuth(self.parts.username, read_password(self.parts.password_file))
        files = self.parts.ca_file, self.parts.cert_file, self.parts.key_file
        if any(files):
            options["ssl"] = _context(
                *files, *(0 if file is None else file.stat().st_mtime_ns for file in files)
            )
        return options

    def session(self, url: str) -> requests.Session:
        """Return a `requests` session for a URL. Raises `OSError` if a file cannot be read."""
        session = requests.Session()
        session.trust_env = False  # a proxy from the environment must not be used
        if url.startswith("https://"):
            if self.parts.password_file is not None:
                session.auth = (self.parts.username, read_password(self.parts.password_file))
            if self.parts.ca_file is not None:
                session.verify = str(self.parts.ca_file)
            if self.parts.cert_file is not None and self.parts.key_file is not None:
                session.cert = str(self.parts.cert_file), str(self.parts.key_file)
        return session


def read_password(file: Path) -> str:
    """Return the password in a file. Raises `OSError`."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as fault:
        raise OSError(f"{file} is not text") from fault


@lru_cache(maxsize=4)
def _context(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None, *_changed_at: int
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context

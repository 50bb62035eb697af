"""How Prometheus and Alertmanager are asked where they want to know who asks, over TLS alone.

They are shown a name with its password, a certificate, or both. The password goes to one who has the key of the
certificate in `ca_file`. Over plain HTTP nothing secret is sent: while such a program is down, any user of the
machine can listen on its port.
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

ANSWER_SECONDS = (0.5, 1.5)  # to connect, to answer; nobody waits for it but a thread in the background


@dataclass(frozen=True, slots=True)
class Access:
    """What is shown to the parts of a chain."""

    parts: ChainParts

    def options(self, url: str) -> dict[str, Any]:
        """Return what aiohttp wants for a request. Raises `OSError` where a file cannot be read."""
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
        """Return a session of requests for a URL. Raises `OSError` where a file cannot be read."""
        session = requests.Session()
        session.trust_env = False  # a proxy of the environment has no business here
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

"""Authorise requests by the token in the Authorization header; cookies are never used.

A browser adds cookies to requests that another site makes it send, but it never adds a bearer token on its own.
"""

from __future__ import annotations

import hmac
import shlex
from collections.abc import Callable
from pathlib import Path

from flask import request


def token_command(path: Path) -> str:
    """Return the command that creates a token; `locum init` creates one only together with a new site file."""
    return f"(umask 077; head -c 32 /dev/urandom | base64 > {shlex.quote(str(path))})"


def bearer_auth(token: str | None) -> Callable[[], bool]:
    """Return a function that checks Flask's current request for this token; without one it refuses all."""

    def authorised() -> bool:
        return token is not None and has_token(token, request.headers.get("Authorization", ""))

    return authorised


def has_token(token: str, header: str) -> bool:
    """Return whether an Authorization header is `Bearer` and this token, which must not be empty."""
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())

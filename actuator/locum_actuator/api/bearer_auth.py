"""Authorise requests by the token in the Authorization header; cookies are never used.

A browser adds cookies to requests that another site makes it send, but it never adds this header on its own.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path

from flask import request


def how_to_make(path: Path) -> str:
    """Return the command that creates a token; `locum init` creates one only together with a new site file."""
    return f"(umask 077; head -c 32 /dev/urandom | base64 > {path})"


def bearer_auth(token: str | None) -> Callable[[], bool]:
    """Return a function that checks the current request for this token; without a token it refuses all requests."""

    def authorised() -> bool:
        return token is not None and is_shown(token, request.headers.get("Authorization", ""))

    return authorised


def is_shown(token: str, header: str) -> bool:
    """Return whether an Authorization header contains the token."""
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())

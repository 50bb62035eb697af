"""Who may tell the actuator anything: whoever shows the token in the Authorization header, and nobody by a cookie.

A browser adds cookies to requests that another site has it send; this header it never adds by itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path

from flask import request


def how_to_make(path: Path) -> str:
    """Return the command that makes a token; `locum init` makes it only beside a new site file."""
    return f"(umask 077; head -c 32 /dev/urandom | base64 > {path})"


def bearer_auth(token: str | None) -> Callable[[], bool]:
    """Return what judges the request at hand: does it show this token? Where there is none, nothing does."""

    def authorised() -> bool:
        return token is not None and is_shown(token, request.headers.get("Authorization", ""))

    return authorised


def is_shown(token: str, header: str) -> bool:
    """Tell whether an Authorization header shows a token."""
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())

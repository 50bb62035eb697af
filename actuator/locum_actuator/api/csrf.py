"""Refuse requests that a browser sends on behalf of other web sites, and keep them from framing our pages.

A page of another site can attack a server on loopback in three ways. DNS rebinding: its own name resolves to
127.0.0.1, but the request then has that name as its Host. A form or a script that posts here: the browser reports
the origin (Sec-Fetch-Site, Origin), and a form cannot send JSON. Clickjacking in a frame: headers forbid framing.
Programs send none of these headers and are accepted, but they still need the token.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, request

# Paths for other programs, with a token or without data. A takeover must not depend on a proxy's name for us.
_FOR_PROGRAMS = frozenset({"/webhook", "/-/healthy", "/-/ready"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})  # none: the person typed the URL
# Only our own scripts and styles, no framing, no forms to other sites, no other content.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def install_csrf_protection(app: Flask) -> None:
    """Check every request of an application before anything else, and add the headers to every answer."""

    @app.before_request
    def refuse() -> tuple[Response, int] | None:
        if request.path in _FOR_PROGRAMS:
            return None
        host = request.headers.get("Host")
        if not is_this_machine(host):
            return jsonify(error="the Host header names another machine: use 127.0.0.1 or localhost"), 421
        if request.method in _READING:
            return None
        if not _is_our_own(host):
            return jsonify(error="the request comes from another web site"), 403
        if (request.content_length or request.content_type) and request.mimetype != "application/json":
            return jsonify(error="send JSON, with Content-Type: application/json"), 415
        return None

    @app.after_request
    def seal(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer


def is_this_machine(host: str | None) -> bool:
    """Return whether a Host header names this machine's loopback, on any port, because `ssh -L` uses its own.

    A missing header is accepted, because every browser sends one.
    """
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(
        ".localhost"
    ):  # RFC 6761: these names are never looked up in the DNS
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_our_own(host: str | None) -> bool:
    """Return whether one of our pages sent the request, or no page at all."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:  # set by the browser, and no page can change it
        return site in _OURS
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == host

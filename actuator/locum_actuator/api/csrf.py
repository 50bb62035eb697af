"""Keep other web sites out: what a browser sends on their behalf is refused, and no page of ours can be framed.

Three ways lead from a strange page to a server on loopback. A name of its own that it has resolve to 127.0.0.1
(DNS rebinding): such a request names that site as its Host. A form or a script that posts here: the browser says
whose it was (Sec-Fetch-Site, Origin), and a form cannot send JSON. A frame that lies under somebody's mouse:
headers forbid it. Programs send none of this and are let through; the token is asked for all the same.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, request

# What other programs ask, with a token or for a word. A takeover must not hang on how a proxy names us.
_FOR_PROGRAMS = frozenset({"/webhook", "/-/healthy", "/-/ready"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})  # none: the person typed the address
# No script and no style but our own files, no frame around us, no form that leaves, nothing from anywhere else.
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
    """Have every request of an application judged before anything else, and every answer carry the headers."""

    @app.before_request
    def refuse() -> tuple[Response, int] | None:
        if request.path in _FOR_PROGRAMS:
            return None
        host = request.headers.get("Host")
        if not is_this_machine(host):
            return jsonify(error="the Host header names another machine: ask for 127.0.0.1 or localhost"), 421
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
    """Tell whether a Host header names this machine's loopback, on any port: `ssh -L` brings its own.

    None, where there is none, is let through: every browser sends one.
    """
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761: no name server is asked for these
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_our_own(host: str | None) -> bool:
    """Tell whether a page of ours sent the request, or no page at all."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:  # the browser's own word, which no page can change
        return site in _OURS
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == host

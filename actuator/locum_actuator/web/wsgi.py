"""Pass a request to a WSGI application and return its answer (PEP 3333)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

_READ = (b"content-length", b"transfer-encoding")  # the body has been read

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request, including its body."""

    method: str
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]  # names in small letters
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def answer_to(application: Application, request: Request, server: tuple[str, int], scheme: str) -> Answer:
    """Return the complete answer of an application."""
    begun: dict[str, Any] = {}

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], None]:
        begun.update(status=int(status.split(" ", 1)[0]), headers=headers)
        return written.append

    written: list[bytes] = []
    parts = application(_environ(request, server, scheme), start_response)
    try:
        written.extend(parts)
    finally:
        if callable(close := getattr(parts, "close", None)):
            close()
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in begun["headers"])
    return Answer(begun["status"], headers, b"".join(written))


def _environ(request: Request, server: tuple[str, int], scheme: str) -> dict[str, Any]:
    path, _, query = request.target.partition(b"?")
    if not path.startswith(b"/"):  # an absolute URL, as sent to a proxy
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(request.body)),
    }
    for name, value in request.headers:
        key = name.decode("latin-1").upper().replace("-", "_")
        if (
            name in _READ or b"_" in name
        ):  # the body is read already; a name with '_' would collide with another
            continue
        key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ

"""Raw answers, read by curl and by the HTTP check: what curl reads, the check reads, and sees the same body."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import socketserver
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from locum_exporter.checks.http import http
from locum_inventory.site.model import HttpCheck

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

TEXT = b"<html>it works</html>"
RAW_DEFLATE = zlib.compressobj(9, zlib.DEFLATED, -15)
BARE = RAW_DEFLATE.compress(TEXT) + RAW_DEFLATE.flush()
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 21\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"


def encoded(name: bytes, data: bytes) -> bytes:
    return OK + b"Content-Encoding: " + name + b"\r\nContent-Length: %d\r\n\r\n" % len(data) + data


# What curl reads as status 200 and TEXT.
READ: dict[str, bytes] = {
    "plain": OK + LENGTH + b"\r\n" + TEXT,
    "one header of 9 KB": OK + LENGTH + b"X: " + b"x" * 9_000 + b"\r\n\r\n" + TEXT,
    "one header of 60 KB": OK + LENGTH + b"X: " + b"x" * 60_000 + b"\r\n\r\n" + TEXT,
    "a thousand headers": OK + LENGTH + b"".join(b"X-%d: y\r\n" % i for i in range(1000)) + b"\r\n" + TEXT,
    "a hundred cookies of 2 KB": OK + LENGTH + b"Set-Cookie: c=%s\r\n" % (b"x" * 2000) * 100 + b"\r\n" + TEXT,
    "gzip": encoded(b"gzip", gzip.compress(TEXT)),
    "x-gzip in capitals": encoded(b"X-GZIP", gzip.compress(TEXT)),
    "deflate in zlib's format": encoded(b"deflate", zlib.compress(TEXT)),
    "deflate without zlib's frame": encoded(b"deflate", BARE),
    "gzip twice": encoded(b"gzip, gzip", gzip.compress(gzip.compress(TEXT))),
    "identity": encoded(b"identity", TEXT),
    "gzip in chunks": CHUNKED
    + b"Content-Encoding: gzip\r\n\r\n"
    + b"%x\r\n%s\r\n0\r\n\r\n" % (len(gzip.compress(TEXT)), gzip.compress(TEXT)),
    "chunks": CHUNKED + b"\r\n6\r\n<html>\r\nf\r\nit works</html>\r\n0\r\n\r\n",
    "chunks with extensions": CHUNKED + b"\r\n15;a=b;c\r\n" + TEXT + b"\r\n0;d\r\n\r\n",
    "a chunk size with zeros and blanks": CHUNKED + b"\r\n00015  \r\n" + TEXT + b"\r\n0\r\n\r\n",
    "chunks with trailers": CHUNKED + b"\r\n15\r\n" + TEXT + b"\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
    "chunks whose lines end in LF": CHUNKED + b"\r\n15\n" + TEXT + b"\n0\n\n",
    "chunked in capitals": OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n15\r\n" + TEXT + b"\r\n0\r\n\r\n",
    "chunked and a length": CHUNKED + b"Content-Length: 3\r\n\r\n15\r\n" + TEXT + b"\r\n0\r\n\r\n",
    "a length and chunked": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n" + TEXT
    + b"\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n" + TEXT + b"\r\n0\r\n\r\n",
    "HTTP/1.0 without a length": b"HTTP/1.0 200 OK\r\n\r\n" + TEXT,
    "HTTP/1.1 without a length": OK + b"\r\n" + TEXT,
    "no reason phrase": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + TEXT,
    "no reason phrase, and a blank": b"HTTP/1.1 200 \r\n" + LENGTH + b"\r\n" + TEXT,
    "a reason phrase in Latin-1": b"HTTP/1.1 200 Tr\xe8s bien\r\n" + LENGTH + b"\r\n" + TEXT,
    "no header at all": b"HTTP/1.1 200\r\n\r\n" + TEXT,
    "lines that end in LF": b"HTTP/1.1 200 OK\nContent-Length: 21\n\n" + TEXT,
    "lines of both kinds": b"HTTP/1.1 200 OK\nContent-Length: 21\r\n\n" + TEXT,
    "a folded header": OK + b"X: a\r\n b\r\n\tc\r\n" + LENGTH + b"\r\n" + TEXT,
    "blanks before the colon": OK + b"X : y\r\n" + LENGTH + b"\r\n" + TEXT,
    "no blank after the colon": OK + b"Content-Length:21\r\n\r\n" + TEXT,
    "a header without a value": OK + b"X:\r\n" + LENGTH + b"\r\n" + TEXT,
    "a header without a name": OK + b": y\r\n" + LENGTH + b"\r\n" + TEXT,
    "bytes beyond ASCII in a header": OK + b"X: \xff\xfe\r\n" + LENGTH + b"\r\n" + TEXT,
    "a control character in a header": OK + b"X: \x01\r\n" + LENGTH + b"\r\n" + TEXT,
    "a length twice": OK + LENGTH + LENGTH + b"\r\n" + TEXT,
    "a length with blanks": OK + b"Content-Length:   21  \r\n\r\n" + TEXT,
    "more than the length says": OK + LENGTH + b"\r\n" + TEXT + b"and more",
    "an interim answer before": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\n" + TEXT,
    "early hints before": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + LENGTH + b"\r\n" + TEXT,
    "keeps the connection though asked to close": OK + b"Connection: keep-alive\r\n" + LENGTH + b"\r\n" + TEXT,
}  # fmt: skip

# What curl does not read. The check must not either, and says why.
NOT_READ: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "reset"),
    "HTTP/0.9": (TEXT, "protocol"),
    "a banner of another protocol": (b"220 mail.example.org ESMTP\r\n", "protocol"),
    "an SSH banner": (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol"),
    "a NUL in a header": (OK + b"X: \x00\r\n" + LENGTH + b"\r\n" + TEXT, "protocol"),
    "a length that is no number": (OK + b"Content-Length: many\r\n\r\n" + TEXT, "protocol"),
    "less than the length says": (OK + b"Content-Length: 100\r\n\r\n" + TEXT, "reset"),
    "a chunk size that is no number": (CHUNKED + b"\r\nzz\r\n" + TEXT + b"\r\n0\r\n\r\n", "protocol"),
    "a chunk size of 17 digits": (CHUNKED + b"\r\n" + b"0" * 15 + b"15\r\n" + TEXT + b"\r\n0\r\n\r\n", "protocol"),
    "a chunk cut short": (CHUNKED + b"\r\n15\r\n<html>", "reset"),
    "no last chunk": (CHUNKED + b"\r\n15\r\n" + TEXT + b"\r\n", "reset"),
    "a body that is no gzip": (encoded(b"gzip", b"\x1f\x8b" + bytes(100)), "protocol"),
}  # fmt: skip


class _Says(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        heard = b""
        while b"\r\n\r\n" not in heard:
            part = self.request.recv(65_536)
            if not part:
                return
            heard += part
        self.request.sendall(self.server.answer)  # type: ignore[attr-defined]
        self.request.shutdown(socket.SHUT_WR)
        while self.request.recv(65_536):  # closed with unread bytes the kernel would send a reset
            pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has heard enough goes away."""


@contextmanager
def raw_server(answer: bytes) -> Iterator[int]:
    with _Server(("127.0.0.1", 0), _Says) as serving:
        serving.answer = answer  # type: ignore[attr-defined]
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield serving.server_address[1]
        finally:
            serving.shutdown()
            thread.join()


@dataclass(frozen=True)
class ByCurl:
    code: int
    body: bytes


def by_curl(answer: bytes, directory: Path) -> ByCurl:
    out = directory / "body"
    out.write_bytes(b"")
    with raw_server(answer) as port:
        run = subprocess.run(
            ["curl", "-q", "--silent", "--noproxy", "*", "--compressed", "--max-time", "20", "--output", str(out),
             f"http://127.0.0.1:{port}/"],
            check=False,
        )  # fmt: skip
    return ByCurl(run.returncode, out.read_bytes())


def by_the_check(answer: bytes, expect_body: str = TEXT.decode()) -> str | None:
    with raw_server(answer) as port:
        check = HttpCheck(url=f"http://{{host}}:{port}/", expect_body=expect_body)
        return asyncio.run(http(check, ip_address("127.0.0.1"), 20.0)).reason


@pytest.mark.parametrize("row", READ)
def test_c1_what_curl_reads_is_read(row: str, tmp_path: Path) -> None:
    assert by_curl(READ[row], tmp_path) == ByCurl(0, TEXT)
    assert by_the_check(READ[row]) is None
    assert by_the_check(READ[row], "something else") == "body"


@pytest.mark.parametrize("row", NOT_READ)
def test_c1_what_curl_does_not_read_is_a_failure_with_its_reason(row: str, tmp_path: Path) -> None:
    answer, reason = NOT_READ[row]
    assert by_curl(answer, tmp_path).code != 0
    assert by_the_check(answer, "no such text") == reason

"""Read one HTTP answer as leniently as curl does: status, headers, and the body up to a limit.

RFC 9112 defines the format, but servers deviate from it: lines that end in a bare LF, folded headers, no
reason phrase, HTTP/1.0. Everything that curl accepts is accepted here;
tests/exporter/checks/test_http_like_curl.py compares the two.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from locum_inventory.errors import LocumError

MAX_HEAD_BYTES = 300 * 1024  # curl's own limit for the headers of one answer
_READ_BYTES = 65_536
_MAX_LINE_BYTES = 16_384  # for a chunk size or a trailer

_BEGIN = b"HTTP/"
_BLANK = re.compile(rb"\s*")
_STATUS_LINE = re.compile(rb"\s*HTTP/(\d)(?:\.(\d+))?[ \t]+(\d{3})")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?$", re.DOTALL)
_DIGITS = re.compile(rb"\d+")
_MOST_ENCODINGS = 5  # curl's own limit
_MOST_MEMBERS = 10_000  # consecutive gzip members; decoding them delays all other checks
_INFLATED_AT_ONCE_BYTES = 2_048
_WITHOUT_BODY = frozenset({204, 304})
_BODY = "the body"
_BODY_CUT_SHORT = "the connection was closed before the body was complete"

AnswerReason = Literal["protocol", "reset", "limit"]


class AnswerError(LocumError):
    """The answer could not be read: malformed, cut short, or larger than the limits here."""

    def __init__(self, reason: AnswerReason, text: str) -> None:
        super().__init__(text)
        self.reason: AnswerReason = reason


@dataclass(frozen=True, slots=True)
class Head:
    """The status and headers of an answer; names in lower case, values in the order received."""

    status: int
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """Return the comma-separated values of all headers with a name, in lower case."""
        parts = [part for key, value in self.headers if key == name for part in value.split(",")]
        return [part.strip().lower() for part in parts if part.strip()]


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of a body. `whole` is false if the body exceeds the limit: these are its first bytes."""

    data: bytes
    whole: bool = True


class Answer:
    """One answer, read from a stream."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._held = bytearray()
        self._has_begun = False

    async def head(self) -> Head:
        """Read the status and the headers; skip interim answers (1xx) before them."""
        left = MAX_HEAD_BYTES
        while True:
            lines = await self._head_lines(left)
            left -= sum(len(line) + 1 for line in lines)
            head = _parsed(lines)
            if not 100 <= head.status < 200 or head.status == 101:
                return head

    async def body(self, head: Head, max_bytes: int) -> Body:
        """Read the body, at most `max_bytes` of it."""
        if head.status in _WITHOUT_BODY or head.status < 200:
            return Body(b"")
        if "chunked" in head.values("transfer-encoding"):
            return await self._chunked(max_bytes)
        length = _length(head)
        body = bytearray()
        while length is None or len(body) < length:
            if len(body) > max_bytes:
                return Body(bytes(body[:max_bytes]), whole=False)
            part = await self._some()
            if not part and length is not None:
                raise AnswerError("reset", _BODY_CUT_SHORT)
            if not part:
                break
            body += part
        body = body if length is None else body[:length]
        return Body(bytes(body[:max_bytes]), whole=len(body) <= max_bytes)

    async def _chunked(self, max_bytes: int) -> Body:
        body = bytearray()
        while True:
            line = await self._line(_BODY, _MAX_LINE_BYTES)
            matched = _CHUNK_SIZE.match(line)
            if matched is None:
                raise AnswerError("protocol", f"the size of a chunk is {_shown(line)}")
            size = int(matched[1], 16)
            if size == 0:
                break
            while size > 0:
                part = await self._some(size)
                if not part:
                    raise AnswerError("reset", _BODY_CUT_SHORT)
                size -= len(part)
                body += part
                if len(body) > max_bytes:
                    return Body(bytes(body[:max_bytes]), whole=False)
            if line := await self._line(_BODY, _MAX_LINE_BYTES):
                raise AnswerError(
                    "protocol", f"a chunk is longer than its size says: {_shown(line)} follows it"
                )
        while await self._line(_BODY, _MAX_LINE_BYTES):
            pass  # trailers are no evidence about the service
        return Body(bytes(body))

    async def _head_lines(self, max_bytes: int) -> list[bytes]:
        lines: list[bytes] = []
        left = max_bytes
        await self._begins_as_http()
        while True:
            try:
                line = await self._line("the headers", left)
            except AnswerError as fault:
                if lines and fault.reason == "reset":
                    return lines  # small scripts close without the empty line; curl treats that as the end
                raise
            left -= len(line) + 1
            if not lines and _STATUS_LINE.match(line) is None:
                raise AnswerError("protocol", f"does not speak HTTP: its first line is {_shown(line)}")
            if not line:
                return lines
            lines.append(line)

    async def _begins_as_http(self) -> None:
        """Raise at once if the answer is not HTTP: its first line may never end."""
        blank = 0
        while True:
            blank = _BLANK.match(self._held, blank).end()  # type: ignore[union-attr]  # it matches nothing, too
            begun = bytes(self._held[blank : blank + len(_BEGIN)])
            if len(begun) == len(_BEGIN) or not _BEGIN.startswith(begun):
                break
            if blank > MAX_HEAD_BYTES:
                raise AnswerError("limit", "could not evaluate: more leading blank space than locum reads")
            if not await self._fill():
                return  # the connection has ended; reading the line reports that
        if begun != _BEGIN:
            raise AnswerError("protocol", f"does not speak HTTP: it begins with {_shown(bytes(self._held))}")

    async def _line(self, of_what: str, max_bytes: int) -> bytes:
        """Return the next line without its line break (LF or CR LF)."""
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if searched > max_bytes:
                break
            if not await self._fill():
                raise AnswerError("reset", f"the connection was closed before {self._missing(of_what)}")
        if end < 0 or end > max_bytes:
            raise AnswerError(
                "limit", f"could not evaluate: a line or all of {of_what} is longer than locum reads"
            )
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return line.removesuffix(b"\r")

    async def _some(self, most: int = _READ_BYTES) -> bytes:
        """Return available bytes, at most `most`; b"" at the end."""
        if not self._held:
            await self._fill()
        part = bytes(self._held[:most])
        del self._held[:most]
        return part

    async def _fill(self) -> bool:
        part = await self._reader.read(_READ_BYTES)
        self._held += part
        self._has_begun |= bool(part)
        return bool(part)

    def _missing(self, of_what: str) -> str:
        if not self._has_begun:
            return "an answer arrived"
        return f"{of_what} {'was' if of_what == _BODY else 'were'} complete"


def _parsed(lines: Sequence[bytes]) -> Head:
    matched = _STATUS_LINE.match(lines[0])
    if matched is None:
        raise AnswerError("protocol", f"does not speak HTTP: its first line is {_shown(lines[0])}")
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        if b"\0" in line:
            raise AnswerError("protocol", f"does not speak HTTP: a header is {_shown(line)}")
        if line[:1] in {b" ", b"\t"}:
            if headers:  # folded: it continues the previous line
                name, value = headers[-1]
                headers[-1] = (name, f"{value} {line.decode('latin-1').strip()}")
            continue
        key, colon, rest = line.partition(b":")
        if colon:
            headers.append((key.decode("latin-1").strip().lower(), rest.decode("latin-1").strip()))
    return Head(int(matched[3]), tuple(headers))


def _length(head: Head) -> int | None:
    """Return the body's length from the headers; None if it extends to the end of the connection."""
    for name, value in head.headers:
        if name == "content-length":
            matched = _DIGITS.match(value.encode("latin-1"))
            if matched is None:
                raise AnswerError("protocol", f"its Content-Length is {value[:40]!r}")
            return int(matched[0][:20])
    return None


def unfolded(body: Body, encodings: Sequence[str], max_bytes: int) -> Body | None:
    """Return a body without its content encodings (gzip, deflate), at most `max_bytes`.

    Returns None if an encoding is not one of these. Raises `AnswerError` if the data is invalid.
    """
    folded = [one for one in encodings if one != "identity"]
    if len(folded) > _MOST_ENCODINGS:
        raise AnswerError("limit", f"could not evaluate: its body has {len(folded)} nested encodings")
    for encoding in reversed(folded):
        if encoding not in _UNFOLD:
            return None
        try:
            body = _UNFOLD[encoding](body, max_bytes)
        except zlib.error as fault:
            raise AnswerError("protocol", f"its body is not valid {encoding}: {fault}") from None
    return body


def _inflated(body: Body, max_bytes: int, window_bits: int) -> Body:
    """Inflate up to a limit, however large the data would become; several gzip members may follow each other."""
    out, at, data = bytearray(), 0, body.data
    if not data:
        return body
    for _ in range(_MOST_MEMBERS):
        stream = zlib.decompressobj(window_bits)
        # In parts: zlib copies the data after a member each time, and there may be tens of thousands of members.
        while at < len(data) and not stream.eof:
            part = data[at : at + _INFLATED_AT_ONCE_BYTES]
            out += stream.decompress(part, max_bytes + 1 - len(out))
            if len(out) > max_bytes:
                return Body(bytes(out[:max_bytes]), whole=False)
            at += len(part) - len(stream.unused_data)
        if not stream.eof and body.whole:
            raise zlib.error("it ends too early")
        if window_bits != _GZIP or data[at : at + 2] != b"\x1f\x8b":
            return Body(bytes(out), body.whole)
    raise AnswerError("limit", f"could not evaluate: its body has more than {_MOST_MEMBERS} gzip members")


_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def _deflate(body: Body, max_bytes: int) -> Body:
    """Inflate the encoding `deflate`: zlib's format in RFC 9110, bare DEFLATE from many servers."""
    try:
        return _inflated(body, max_bytes, _ZLIB)
    except zlib.error:
        return _inflated(body, max_bytes, _RAW)


def _gzip(body: Body, max_bytes: int) -> Body:
    return _inflated(body, max_bytes, _GZIP)


_UNFOLD: dict[str, Callable[[Body, int], Body]] = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate}


def _shown(line: bytes) -> str:
    text = ascii(line[:60].decode("latin-1"))
    return f"{text[:-1]}...{text[-1]}" if len(line) > 60 else text

"""Check a request before h11 parses it, so that parsing time stays proportional to its length.

h11 needs quadratic time to reject a malformed line with many spaces, and Python blocks all other threads meanwhile:
one header of 64 KB of spaces and a NUL stopped the whole actuator for many seconds. Thousands of short headers or
of one-byte chunks are just as expensive. No legitimate client sends what is refused here.
"""

from __future__ import annotations

import re

import h11

from locum_inventory.errors import LocumError

MOST_LINES = 100  # of a head: Apache's own bound
MOST_CHUNKS = 1024
CHUNK_LINE_BYTES = 128

_HEAD_END = re.compile(rb"\n\r?\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|$)")


class RequestRefusedError(LocumError):
    """A request is refused before an application sees it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Framing:
    """The head and the chunk lines of one request. Both methods raise `RequestRefusedError`."""

    def __init__(self) -> None:
        self._has_head = self._is_chunked = False
        self._is_at_chunk = self._is_last = False
        self._chunks = self._lines = self._seen = 0

    def check(self, buffered: bytes) -> None:
        """Check the received bytes that are not parsed yet."""
        if not self._has_head:
            self._check_head(buffered)
        elif self._is_last:
            if not b"\r\n".startswith(buffered[:2]):
                raise RequestRefusedError(400, "trailers are not read")
        elif self._is_at_chunk:
            self._check_chunk(buffered)

    def note(self, event: object) -> None:
        """Record an event that h11 has parsed."""
        if isinstance(event, h11.Request):
            self._has_head = True
            self._is_chunked = self._is_at_chunk = any(
                name == b"transfer-encoding" for name, _ in event.headers
            )
        elif isinstance(event, h11.Data) and self._is_chunked:
            self._is_at_chunk = event.chunk_end
            self._chunks += event.chunk_start
            if self._chunks > MOST_CHUNKS:
                raise RequestRefusedError(413, f"the body has more than {MOST_CHUNKS} chunks")

    def _check_head(self, buffered: bytes) -> None:
        """Check a head or its beginning; bytes that were checked before are not checked again."""
        begin = max(0, self._seen - 2)
        ends = _HEAD_END.search(buffered, begin)
        end = len(buffered) if ends is None else ends.start()
        self._lines += buffered.count(b"\n", self._seen, end)
        self._seen = len(buffered)
        if self._lines > MOST_LINES:
            raise RequestRefusedError(431, f"the head has more than {MOST_LINES} lines")
        if _CONTROL.search(buffered, begin, end):
            raise RequestRefusedError(400, "the head contains a control character")

    def _check_chunk(self, buffered: bytes) -> None:
        line, end, rest = buffered.lstrip(b"\r\n")[: CHUNK_LINE_BYTES + 2].partition(b"\r\n")
        if b"\n" in line or len(line) > CHUNK_LINE_BYTES:
            raise RequestRefusedError(400, "the line before a chunk is malformed or too long")
        self._is_at_chunk = not end  # h11 takes a whole line at once; the chunk follows it
        if end and not line.partition(b";")[0].strip(b" \t0"):
            # The last chunk: check what follows as well, because h11 parses both at once.
            self._is_last = True
            if not b"\r\n".startswith(rest[:2]):
                raise RequestRefusedError(400, "trailers are not read")

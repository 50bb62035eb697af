r"""Bytes that a site file writes as text, with the escapes `\r`, `\n`, `\t`, `\0`, `\xNN` and `\\` in it.

YAML knows such escapes only in double quotes, and there `\xd2` is a character, which would be sent as two bytes of
UTF-8. Here it is one byte, with any kind of quotes. Everything that is not an escape is text, and is sent as UTF-8.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.|$)", re.DOTALL)
_MEANINGS = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", '"': '"', "'": "'"}
# In double quotes, `\x80` to `\xff`, and the backslash as `\x5c`; not if another backslash precedes it.
_BYTE = re.compile(r"\\(\\|x(5[cC])|x([89a-fA-F][0-9a-fA-F]))")


class QuotedText(str):
    """A scalar in double quotes.

    `surrogates` is the same text with a lone surrogate, U+DC80 to U+DCFF, for each escape from `\\x80` to `\\xff`.
    """

    __slots__ = ("surrogates",)
    surrogates: str


def quoted(value: str, source: str) -> str:
    """Return a scalar's value, marked with the byte escapes in its source (quotes included)."""
    marked = _BYTE.sub(_marked, source)
    if marked == source:
        return value
    text = QuotedText(value)
    text.surrogates = str(yaml.safe_load(marked))
    return text


def _marked(found: re.Match[str]) -> str:
    if found[2]:
        return r"\\\\"
    return rf"\udc{found[3]}" if found[3] else found[0]


def shown_bytes(payload: bytes) -> str:
    """Return bytes as one printable line."""
    text = repr(payload[:60])[1:]
    return f"{text} and {len(payload) - 60} more" if len(payload) > 60 else text


def _payload(value: Any) -> Any:
    if not isinstance(value, str):
        return value  # bytes, or not a text, which pydantic rejects
    text = value.surrogates if isinstance(value, QuotedText) else value
    return _ESCAPE.sub(_meaning, text).encode("utf-8", "surrogateescape")


def _meaning(found: re.Match[str]) -> str:
    name = found[1]
    if name in _MEANINGS:
        return _MEANINGS[name]
    if len(name) == 3:
        byte = int(name[1:], 16)
        return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)
    raise ValueError(
        rf"has '\{name}', which is not an escape: use \r, \n, \t, \0 or \xNN, and \\ for a backslash"
    )


Payload = Annotated[bytes, BeforeValidator(_payload)]

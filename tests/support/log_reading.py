"""Read a line of logfmt back, strictly: what a program that is given it would make of it."""

from __future__ import annotations

import json
import re

_PAIR = re.compile(r'([^\s"=]+)=("(?:[^"\\]|\\.)*"|[^\s"=]+)(?: |$)')


def read_logfmt(line: str) -> dict[str, str]:
    """Return the fields of a line; an AssertionError where it is no logfmt or a field comes twice."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(line):
        pair = _PAIR.match(line, at)
        assert pair is not None, f"no logfmt from here: {line[at:]!r}"
        name, value = pair[1], pair[2]
        assert name not in fields, f"{name} comes twice: {line!r}"
        fields[name] = json.loads(value) if value.startswith('"') else value
        at = pair.end()
    return fields

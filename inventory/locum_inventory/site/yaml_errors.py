"""Turn PyYAML's syntax errors into sentences that say what to correct."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from locum_inventory.errors import LocumError


class UnreadableFileError(LocumError):
    """The text is not YAML, or not YAML of a kind that a site file can be; `line` counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


_NEEDS_QUOTES = "a value with {{ }} [ ] or , needs quotes"

# The first match is used. {c} is what the pattern's group matched.
_PLAIN_WORDS: Mapping[str, str] = {
    r"found character '\\t' that cannot start any token": "has a tab: indent with spaces",
    r"found character '(?P<c>.)' that cannot start any token": (
        "has a value that begins with '{c}': put it in quotes"
    ),
    r"mapping values are not allowed here": (
        "has a ':' where no key is allowed: check the indentation, or put the value in quotes"
    ),
    r"could not find expected ':'": "has a key without a ':'",
    r"expected <block end>, but found .*": (
        "does not fit the lines above it: check the indentation, or put the value in quotes"
    ),
    r"expected ',' or '(?P<c>[\]}])', but got .*": (
        f"is missing a ',' or the closing '{{c}}' of line {{begin}} ({_NEEDS_QUOTES})"
    ),
    r"expected the node content, but found .*": f"has no value that YAML can read: {_NEEDS_QUOTES}",
    r"found undefined alias '(?P<c>.*)'": (
        "has '*{c}', an alias that is not defined: a value that begins with '*' needs quotes"
    ),
    r"expected alphabetic or numeric character, but found .*": (
        "has a value that begins with '*' or '&': put it in quotes"
    ),
    r"found unexpected (end of stream|document separator)": "begins a quoted text that is not closed",
    r"but found another document": "begins a second document ('---'): a site file is a single document",
    r"found unknown escape character '(?P<c>.)'": (
        "has '\\{c}' in double quotes: write '\\\\{c}', or use single quotes"
    ),
}


def in_plain_words(error: yaml.MarkedYAMLError) -> UnreadableFileError:
    """Return a syntax error as a sentence, located where it must be corrected."""
    problem = error.problem or error.context or "unknown error"
    # PyYAML reports an unclosed quote at the end of the file and a missing colon on the next line; the place to
    # correct is where it begins.
    noticed_late = re.fullmatch(r"found unexpected .*|could not find expected ':'", problem)
    begin = error.context_mark or error.problem_mark
    mark = begin if noticed_late else error.problem_mark or begin
    words = f"cannot be read as YAML: {problem}"
    for pattern, plain in _PLAIN_WORDS.items():
        match = re.fullmatch(pattern, problem)
        if match:
            words = plain.format(**match.groupdict(), begin=begin.line + 1 if begin else 1)
            break
    if mark is None:
        return UnreadableFileError(1, words)
    return UnreadableFileError(mark.line + 1, f"column {mark.column + 1} {words}")

"""What PyYAML stumbled over, in words that say what to mend."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from locum_inventory.errors import LocumError


class UnreadableFileError(LocumError):
    """The text is not YAML, or not YAML of a kind that a site file may be; `line` counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


_NEEDS_QUOTES = "a value that holds {{ }} [ ] or , needs quotes"

# The first that matches counts. {c} is what the pattern's group found.
_PLAIN_WORDS: Mapping[str, str] = {
    r"found character '\\t' that cannot start any token": "has a tab: indent with spaces",
    r"found character '(?P<c>.)' that cannot start any token": (
        "has a value that begins with '{c}': put it in quotes"
    ),
    r"mapping values are not allowed here": (
        "has a ':' where no key can stand: check the indentation, or put the value in quotes"
    ),
    r"could not find expected ':'": "has a key without its ':'",
    r"expected <block end>, but found .*": (
        "does not go on from what is above it: check the indentation, or put the value in quotes"
    ),
    r"expected ',' or '(?P<c>[\]}])', but got .*": (
        f"lacks a ',' or the closing '{{c}}' of line {{begin}} ({_NEEDS_QUOTES})"
    ),
    r"expected the node content, but found .*": f"has no value that YAML can read: {_NEEDS_QUOTES}",
    r"found undefined alias '(?P<c>.*)'": (
        "has '*{c}', an alias of nothing: a value that begins with '*' needs quotes"
    ),
    r"expected alphabetic or numeric character, but found .*": (
        "has a value that begins with '*' or '&': put it in quotes"
    ),
    r"found unexpected (end of stream|document separator)": "begins a quoted text that never ends",
    r"but found another document": "begins a second document ('---'): a site file is one",
    r"found unknown escape character '(?P<c>.)'": (
        "has '\\{c}' in double quotes: write '\\\\{c}', or use single quotes"
    ),
}


def in_plain_words(error: yaml.MarkedYAMLError) -> UnreadableFileError:
    """Put a syntax error into plain words, with the place where it must be mended."""
    problem = error.problem or error.context or "what is wrong is not known"
    # An unclosed quote is noticed at the end of the file, a missing colon on the next line; what must be mended
    # is where it begins.
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

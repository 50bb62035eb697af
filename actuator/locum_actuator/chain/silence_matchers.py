"""Check whether the matchers of a silence match an alert, without evaluating expensive patterns.

Python's `re` blocks the whole program during a match. Anyone who may create a silence could write a pattern that
never finishes, and so prevent every takeover. So a pattern is evaluated only if it consists of words, `.*` and
`.+`, which is what people write; for any other the result is "not known".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 200  # characters
_WORDS = re.compile(r"(?:[\w:/ \-]|\\[.\-]|\.[*+]|\.)*")  # unambiguous: no text matches in two ways
MOST_STARS = 2  # in one alternative: a match then takes microseconds


def fits(matchers: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> bool | None:
    """Return whether all matchers match; None if one cannot be evaluated and no other excludes a match.

    As in Alertmanager, a missing label is empty, and a pattern is anchored at both ends.
    """
    found = [_one(matcher, labels) for matcher in matchers]
    if any(one is False for one in found):
        return False
    return None if None in found else True


def _one(matcher: Mapping[str, Any], labels: Mapping[str, str]) -> bool | None:
    value, pattern = labels.get(str(matcher["name"]), ""), str(matcher["value"])
    same = _matches(pattern, value) if matcher.get("isRegex") else value == pattern
    return same if same is None or matcher.get("isEqual", True) else not same


def _matches(pattern: str, value: str) -> bool | None:
    if pattern.startswith("(") and pattern.endswith(")") and "(" not in pattern[1:]:
        pattern = pattern[1:-1].removeprefix("?:")
    if len(pattern) > LONGEST or len(value) > LONGEST:
        return None
    parts = pattern.split("|")
    if not all(_WORDS.fullmatch(part) and part.count("*") + part.count("+") <= MOST_STARS for part in parts):
        return None
    return any(re.fullmatch(part, value, re.DOTALL) for part in parts)

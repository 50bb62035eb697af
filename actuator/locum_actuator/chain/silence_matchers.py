"""Whether the matchers of a silence fit an alert. Matches no pattern that could take long.

Python's `re` holds the whole program up while it tries, and whoever may write a silence could write a pattern that
takes for ever: then no takeover. So a pattern is tried only where it is made of words, `.*` and `.+`, which is what
people write; of any other it is said that nobody here can tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 200  # characters
_WORDS = re.compile(r"(?:[\w:/ \-]|\\[.\-]|\.[*+]|\.)*")  # no way to read a text in two ways
MOST_STARS = 2  # in one alternative: a try then takes microseconds


def fits(matchers: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> bool | None:
    """Tell whether all matchers fit; None where a pattern among them cannot be tried and no other says no.

    As Alertmanager has it: a label that is not there is empty, and a pattern is anchored at both ends.
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

"""Parse numbers in requests: SQLite's have 64 bits, and Python refuses to parse thousands of digits."""

from __future__ import annotations

from werkzeug.routing import IntegerConverter

DIGITS = 18  # every number with at most this many digits fits into 64 bits


class Number(IntegerConverter):
    """A number in a path, as in `<number:id>`; a path with a longer number is not found."""

    regex = rf"[0-9]{{1,{DIGITS}}}"


def number(text: str) -> int:
    """Return a query's value as a number; raises ValueError if it is not one, or has too many digits."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS):
        raise ValueError("not a number of up to 18 digits")
    return int(text)

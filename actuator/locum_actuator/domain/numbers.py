"""Bound the length of numbers from outside (requests, headers, rsync's output).

SQLite's integers have 64 bits, and Python refuses to parse thousands of digits.
"""

from __future__ import annotations

from werkzeug.routing import IntegerConverter

MAX_DIGITS = 18  # every number with at most this many digits fits into 64 bits


class NumberConverter(IntegerConverter):
    """A number in a path, as in `<number:number>`; a longer one is answered with 404."""

    regex = rf"[0-9]{{1,{MAX_DIGITS}}}"


def parse_number(text: str) -> int:
    """Return a query's value as a number, which may be negative; raises ValueError if it is none or too long."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS):
        raise ValueError(f"not a number of up to {MAX_DIGITS} digits")
    return int(text)

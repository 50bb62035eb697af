"""Numbers in requests: SQLite's are 64 bits long, and Python refuses to read more than some thousand digits."""

from __future__ import annotations

from werkzeug.routing import IntegerConverter

DIGITS = 18  # every number of so many digits fits into 64 bits


class Number(IntegerConverter):
    """A number in a path, as `<number:id>`; a path with a longer one is not found."""

    regex = rf"[0-9]{{1,{DIGITS}}}"


def number(text: str) -> int:
    """Return the number that a query's value is; ValueError where it is none, or has too many digits."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS):
        raise ValueError("not a number of up to 18 digits")
    return int(text)

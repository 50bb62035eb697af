"""Text from outside (a gate, a command, an alert) as a terminal may have it."""

from __future__ import annotations


def printable(text: object) -> str:
    """Return a text on one line, in which nothing steers a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())

"""Text from outside (a gate, a command, an alert) as a terminal may have it."""

from __future__ import annotations


def printable(text: object) -> str:
    """Return a text on one line, in which nothing steers a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def printable_lines(text: object) -> str:
    """Return a text with its line ends and tabs as they are, in which nothing else steers a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in str(text))

"""Make text from outside (a gate, a command, an alert) safe for a terminal."""

from __future__ import annotations


def printable(text: object) -> str:
    """Return a text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def printable_lines(text: object) -> str:
    """Return a text with line ends and tabs, without other control characters."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in str(text))

"""Lines put into the site file that `locum init` wrote, where a lab wants something of its own."""

from __future__ import annotations

from lab.needs import LabError

TAKEOVER = "    takeover:\n"  # where the section of the lab's service begins


def before(text: str, head: str, lines: str) -> str:
    """Return a text with lines before the first `head`; raises `LabError` where there is none."""
    at = _find(text, head)
    return f"{text[:at]}{lines}{text[at:]}"


def after(text: str, head: str, lines: str) -> str:
    """Return a text with lines after the first `head`; raises `LabError` where there is none."""
    at = _find(text, head) + len(head)
    return f"{text[:at]}{lines}{text[at:]}"


def _find(text: str, head: str) -> int:
    at = text.find(head)
    if at < 0:
        raise LabError(f"the site file has no {head.strip()!r}:\n{text}")
    return at
